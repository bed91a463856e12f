"""The Binder API's templates: register, read, change and remove what can be launched.

Names are looked up lower-cased: Binder's own may have capitals, ours have none. What
the configuration declares is shown and cannot be changed (409).
"""

from aiohttp import web

from spawner.builder.model import Outcome
from spawner.errors import UnknownTemplate
from spawner.model import Template
from spawner.services import check
from spawner.store.recipes import Recipe
from web.auth import holder_of
from web.context import SERVICE, SETTINGS
from web.operations import Operations, Parameter, malformed
from web.recipe_checks import backend_faults
from web.scopes import Scope
from web.template_documents import (
    NewTemplate,
    TemplateDocument,
    TemplateFields,
    TemplateStatus,
    document_of,
    merged,
    name_of,
    template_of,
    wording_of,
)

#: What clients of the Binder API call our failures.
TYPES = {"unknown_template": "doesNotExist", "unsupported_service": "unsupportedService"}
_CHANGED = {404: "doesNotExist", 409: ("template_declared", "template_changed")}

TEMPLATE = Parameter(description="Name of a template, in any case", pattern="[^/]+", example="lab")

api = Operations("templates", types=TYPES, parameters={"template": TEMPLATE})


@api.get("/templates", scope=Scope.TEMPLATE)
async def list_templates(request: web.Request) -> list[TemplateDocument]:
    """List all templates, those of the configuration first."""
    recipes = request.app[SERVICE].catalogue.recipes
    return [_document(request, recipe) for recipe in recipes.values()]


@api.post("/templates", scope=Scope.TEMPLATE, fails={409: _CHANGED[409]})
async def register_template(request: web.Request, body: NewTemplate) -> TemplateDocument:
    """Register a template, in place of the one of its name if there is one."""
    return await _put(request, template_of(name_of(body), body), body)


@api.get("/templates/{template}", scope=Scope.READ, fails={404: "doesNotExist"})
async def read_template(request: web.Request) -> TemplateDocument:
    """Show one template."""
    return _document(request, recipe_of(request))


@api.put("/templates/{template}", scope=Scope.TEMPLATE, fails=_CHANGED)
async def change_template(request: web.Request, body: TemplateFields) -> TemplateDocument:
    """Change what the body names of a template, and keep the rest; null takes a field back."""
    recipe = recipe_of(request)
    name = recipe.template.name
    if body.name is not None and body.name.lower() != name:
        raise malformed(f"name: must be {name}, as in the path")
    wording = recipe.wording or _document(request, recipe).model_dump(
        by_alias=True, exclude_none=True
    )
    fields = merged({**wording, "env": dict(recipe.template.env)}, body)
    # Only what the Binder API has words for is made anew; the rest stays as it was put.
    said = template_of(name, fields)
    kept = {key: getattr(recipe.template, key) for key in _UNSAID}
    return await _put(request, said.model_copy(update=kept), fields)


@api.delete("/templates/{template}", scope=Scope.TEMPLATE, fails=_CHANGED)
async def remove_template(request: web.Request) -> TemplateDocument:
    """Remove a template: its spares end, its sessions go on."""
    recipe = recipe_of(request)
    await request.app[SERVICE].catalogue.remove(recipe.template.name)
    return _document(request, recipe)


@api.get("/templates/{template}/status", scope=Scope.READ, fails={404: "doesNotExist"})
async def template_status(request: web.Request) -> TemplateStatus:
    """Say whether a template can be launched: one that there is can, else its build tells."""
    builds = request.app[SERVICE].builds
    try:
        recipe_of(request)
    except UnknownTemplate:
        build = await builds.find(request.match_info["template"].lower()) if builds else None
        if build is None:
            raise
        return TemplateStatus(status="pending" if build.outcome is Outcome.RUNNING else "failed")
    return TemplateStatus(status="completed")


routes = api.routes


def recipe_of(request: web.Request) -> Recipe:
    """Find what the path names.

    Raises:
        UnknownTemplate
    """
    name = request.match_info["template"].lower()
    recipe = request.app[SERVICE].catalogue.recipes.get(name)
    if recipe is None:
        raise UnknownTemplate(name)
    return recipe


#: What a document says nothing of.
_UNSAID = frozenset(Template.model_fields) - frozenset(
    "name title description image command port env urlpath memory cpus pids disk auth"
    " idle_timeout services".split()
)


async def _put(
    request: web.Request, template: Template, fields: TemplateFields
) -> TemplateDocument:
    service = request.app[SERVICE]
    reach = request.app[SETTINGS].docker.reach
    if faults := backend_faults(template, service.backend.name, reach):
        raise malformed("; ".join(faults))
    check(template, request.app[SETTINGS].services)
    wording = wording_of(fields)
    # The template itself has them, where they are masked and shown as secrets are.
    wording.pop("env", None)
    recipe = await service.catalogue.put(template, wording=wording)
    return _document(request, recipe)


def _document(request: web.Request, recipe: Recipe) -> TemplateDocument:
    is_declared = request.app[SERVICE].catalogue.declares(recipe.template.name)
    holder = holder_of(request)
    # Where registering is open to all, what others put into theirs is not.
    is_trusted = holder is not None and bool(holder.scopes & Scope.TEMPLATE.within)
    return document_of(recipe, is_declared=is_declared, with_env=is_trusted)
