"""Builds as the Binder API has them: from a repository's address to a link.

Three ways of writing the path are one (contract binder D-1); an answer holds what any of
the three would (D-5). A build has a stage and an outcome here, which the Binder API calls
its phase and its status; one that was cancelled has failed for it, since its clients know
of nothing else.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Literal

from aiohttp import web
from pydantic import AliasChoices, BeforeValidator, Field

from spawner.builder.model import Build, Outcome
from spawner.builder.settings import Dependency
from web.build_links import Links, links_to
from web.builds import builds_of
from web.callers import caller_of
from web.context import SERVICE, mount_of
from web.operations import Operations, Parameter, Wire, require
from web.origin import origin_of
from web.problems import RequestRefused
from web.scopes import Scope
from web.views import timestamp

#: As the Binder API calls what the core tells by another code.
TYPES = {"bad_source": "badRepoSource", "already_building": "alreadyBuilding"}
NAME = Parameter(
    description="Name of the image, in any case: `name` in the answer of the start.",
    pattern="[^/]+",
    example="org-repo",
)
CANCELLED = "cancelled"
_ROOTS = ("/builds", "/builds/repo", "/builds/repos")
_ONE = tuple(f"{root}/{{name}}" for root in _ROOTS)

UNKNOWN = {404: "noBuildInfo", 501: "buildsUnavailable"}
_STATUS: Mapping[Outcome, Literal["running", "completed", "failed"]] = {
    Outcome.RUNNING: "running",
    Outcome.COMPLETED: "completed",
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "failed",
}

api = Operations("builds", types=TYPES, parameters={"name": NAME})


def _unquoted(value: object) -> object:
    # The first description of this API shows addresses in quotes (D-8), and people copy it.
    return value.strip().strip("\"'").strip() if isinstance(value, str) else value


Repository = Annotated[
    str,
    BeforeValidator(_unquoted),
    Field(
        min_length=1,
        max_length=2000,
        description="Address of a repository; /tree/<branch> in it names a branch",
        examples=["https://github.com/org/repo"],
    ),
]


class StartBuild(Wire):
    """What a build is started with."""

    repository: Repository = Field(validation_alias=AliasChoices("repository", "repo"))
    ref: str = Field("", max_length=200, description="Branch, tag or commit")
    dependencies: tuple[Dependency, ...] = Field(
        (), description="The files that decide what is installed: the first that is there"
    )
    force: bool = Field(default=False, description="Build again what is there")


class FindBuild(Wire):
    """Which builds are meant."""

    repository: Annotated[
        str, BeforeValidator(_unquoted), Field(max_length=2000, examples=["https://github.com/o/r"])
    ] = Field("", description="Only the latest build of this repository; all where absent")
    ref: str = Field("", max_length=200, description="Branch, tag or commit of that repository")


class BuildView(Wire):
    """A build."""

    name: str = Field(description="Of the image, and of its template")
    image_name: str = Field(description="The same")
    display_name: str
    repository: str
    repo: str = Field(description="The same")
    ref: str = Field(description="Branch, tag or commit that was asked for")
    commit: str = Field(description="Full id of the commit that is built")
    phase: str = Field(description="How far it is")
    status: Literal["running", "completed", "failed"] = Field(description="What came of it")
    step: int = Field(description="Step n of m in this phase; 0 of 0 where unknown")
    steps: int
    dependencies: tuple[str, ...] = Field(
        description="The files that decide what is installed: those asked for, then those used"
    )
    start_time: str
    end_time: str | None = None
    image_source: str | None = Field(None, description="The image's full reference")
    error: str | None = Field(None, description="Why it failed")
    links: Links


class StatusView(Wire):
    """What came of a build, in three words."""

    status: Literal["pending", "completed", "failed"]


class Removed(Wire):
    """A build that is over."""

    name: str
    cancelled: bool = Field(description="It was running, and has been ended")
    removed: bool = Field(description="Its record and its log are removed")


@api.post(
    *_ROOTS,
    scope=Scope.BUILD,
    fails={
        409: "alreadyBuilding",
        422: ("badRepoSource", "malformedRequest"),
        429: "queue_full",
        501: "buildsUnavailable",
        503: ("source_unavailable", "backend_unavailable"),
    },
)
async def start_build(request: web.Request, body: StartBuild) -> BuildView:
    """Build an image from a repository.

    Answers as soon as the commit is known. The same request while it runs joins the build
    that is there. An image that is there is used again, unless `force` says otherwise.
    """
    build = await builds_of(request).start(
        body.repository,
        ref=body.ref,
        dependencies=body.dependencies,
        force=body.force,
        caller=request.app[SERVICE].caller(str(caller_of(request))),
        service_url=_service_url(request),
    )
    return view(request, build)


@api.get(*_ROOTS, scope=Scope.READ, fails=UNKNOWN)
async def list_builds(request: web.Request, query: FindBuild) -> BuildView | list[BuildView]:
    """List the latest build of each image, newest first; or find that of one repository.

    The list needs a key of scope `build`.
    """
    builds = builds_of(request)
    if query.repository:
        return view(request, _known(await builds.of_repository(query.repository, query.ref)))
    require(request, Scope.BUILD)
    return [view(request, build) for build in await builds.all()]


@api.get(*_ONE, scope=Scope.READ, fails=UNKNOWN)
async def show_build(request: web.Request) -> BuildView:
    """Show the latest build of an image."""
    return view(request, await find(request))


@api.get(*(f"{path}/status" for path in _ONE), scope=Scope.READ, fails=UNKNOWN)
async def show_build_status(request: web.Request) -> StatusView:
    """Say in one word what came of the latest build of an image."""
    status = _STATUS[(await find(request)).outcome]
    return StatusView(status="pending" if status == "running" else status)


@api.delete(*_ONE, scope=Scope.BUILD, fails=UNKNOWN)
async def remove_build(request: web.Request) -> Removed:
    """Cancel the build of an image that runs, or remove the record of one that is over.

    What it made stays: the image, and the template.
    """
    builds, build = builds_of(request), await find(request)
    if await builds.cancel(build.name):
        return Removed(name=build.name, cancelled=True, removed=False)
    return Removed(name=build.name, cancelled=False, removed=await builds.remove(build.name))


routes = api.routes


async def find(request: web.Request) -> Build:
    """Give the latest build of the image that the path names.

    Raises:
        RequestRefused: There is none.
    """
    # Names are lower case; the old clients write them as the repository is written.
    return _known(await builds_of(request).find(request.match_info["name"].lower()))


def view(request: web.Request, build: Build) -> BuildView:
    """Show a build, with links as this caller reaches them."""
    address = _service_url(request)
    is_cancelled = build.outcome is Outcome.CANCELLED
    return BuildView(
        name=build.name,
        image_name=build.name,
        display_name=build.source.display_name,
        repository=build.repository,
        repo=build.repository,
        ref=build.source.ref,
        commit=build.commit,
        phase=build.stage.value,
        status=_STATUS[build.outcome],
        step=build.step,
        steps=build.steps,
        dependencies=build.dependencies,
        start_time=timestamp(build.started_at) or "",
        end_time=timestamp(build.ended_at),
        image_source=build.image or None,
        error=build.error or (CANCELLED if is_cancelled else None),
        links=links_to(address, build.name, build.source.display_name),
    )


def _service_url(request: web.Request) -> str:
    return origin_of(request).url(mount_of(request))


def _known(build: Build | None) -> Build:
    if build is None:
        raise RequestRefused(
            HTTPStatus.NOT_FOUND,
            "noBuildInfo",
            "Could not get build information for requested image",
        )
    return build
