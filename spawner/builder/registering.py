"""Let the template of an image run what was built.

The one rule: a build changes what builds wrote, and nothing else. Limits, variables and
the pool stay as they were put, and so do command and landing page once somebody changed them.
"""

import json

from spawner.builder.model import Build, Plan
from spawner.catalogue import Catalogue
from spawner.errors import BuildFailed, TemplateChanged
from spawner.model import Pool, Template
from spawner.store.builds import BuildStore

_TRIES = 5


def refuse_root(user: str, known: Template | None) -> None:
    """Refuse an image that would run as root, unless its template says as whom it runs.

    Raises:
        BuildFailed: The text says what to do.
    """
    if user.partition(":")[0] not in ("", "0", "root"):
        return
    if known is None or not (known.user or known.allow_root):
        raise BuildFailed(
            "The image would run as root: add USER with another user to the end of its Dockerfile."
        )


def refuse_declared(catalogue: Catalogue, name: str) -> None:
    """Refuse a name whose template is the configuration's.

    Raises:
        BuildFailed
    """
    if catalogue.declares(name):
        raise BuildFailed(
            f'The configuration declares the template "{name}", so no build may change it: '
            "take it out there, or give it another name."
        )


async def register(
    build: Build, plan: Plan, catalogue: Catalogue, store: BuildStore, *, size: int, fence: int
) -> None:
    """Put the template of a build; may be done again.

    ``size`` is that of a new pool.

    Raises:
        BuildFailed: The configuration declares it, or it is changed all the time.
        StoreUnavailable
    """
    refuse_declared(catalogue, build.name)
    before = await store.made(build.name, _written(plan.command, plan.urlpath), fence=fence)
    for _ in range(_TRIES):
        await catalogue.read()
        known = catalogue.recipes.get(build.name)
        try:
            if known is None:
                fresh = _fresh(build, plan)
                await catalogue.put(fresh, Pool(size=size, spare=0), expected=0)
            else:
                changed = _changed(known.template, build, plan, before)
                await catalogue.put(changed, known.pool, expected=known.version)
        except TemplateChanged:
            continue
        return
    raise BuildFailed(f'The template "{build.name}" was changed by others all the time.')


def _fresh(build: Build, plan: Plan) -> Template:
    return Template(
        name=build.name,
        title=build.source.display_name,
        image=build.image,
        command=plan.command,
        urlpath=plan.urlpath,
    )


def _changed(known: Template, build: Build, plan: Plan, before: list[str]) -> Template:
    update: dict[str, object] = {"image": build.image}
    if _written(known.command, known.urlpath) in before:
        update |= {"command": plan.command, "urlpath": plan.urlpath}
    return known.model_copy(update=update)


def _written(command: str | tuple[str, ...] | None, urlpath: str) -> str:
    return json.dumps([command, urlpath])
