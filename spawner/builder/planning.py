"""Decide what a repository's image is built by.

One file decides what is installed: of those that a request names, or of the
operator's priority, the first that is there. A ``pyproject.toml`` counts where
there is none of them. A ``Dockerfile`` that decides is built as it is, from the
repository's root, and everything else in it is its author's business. Without any
of them the base image and the repository's files are the image.

:mod:`spawner.builder.contents` sees what is there, :mod:`spawner.builder.declared`
reads it, :mod:`spawner.builder.dockerfile` writes the text, and
:mod:`spawner.builder.network` adds what a company's network wants.
"""

from collections.abc import Sequence
from pathlib import Path

from spawner.builder.base import Planner
from spawner.builder.contents import BESIDE, SUPPORTED, Contents, look
from spawner.builder.declared import (
    base_image,
    debian_packages,
    environment_refers_to_files,
    project_kind,
    refers_to_files,
)
from spawner.builder.dockerfile import Installs, Recipe, write
from spawner.builder.model import Plan, Tell
from spawner.builder.network import network_of
from spawner.builder.repo2docker import Repo2dockerPlanner
from spawner.builder.settings import BuildSettings
from spawner.errors import BuildFailed


def planner_for(settings: BuildSettings) -> Planner:
    """Give the planner that the settings name."""
    if settings.builder == "repo2docker":
        return Repo2dockerPlanner(settings)
    return FilePlanner(settings)


class FilePlanner(Planner):
    """Writes a Dockerfile from the files that people put into repositories."""

    def __init__(self, settings: BuildSettings) -> None:
        self._settings = settings

    def plan(
        self, directory: Path, workspace: Path, dependencies: Sequence[str], tell: Tell
    ) -> Plan:
        """Plan a build; :meth:`Planner.plan` has the promises."""
        contents = look(directory)
        decides = self._decides(contents, dependencies)
        tell(_told(contents, decides))
        if decides == "Dockerfile":
            return self._own(contents, workspace, tell)
        return self._generated(contents, decides, workspace, tell)

    def _decides(self, contents: Contents, dependencies: Sequence[str]) -> str | None:
        for name in dependencies or self._settings.priority:
            if name in contents.names and name in SUPPORTED:
                return name
        if dependencies:
            where = contents.place or "the repository's root"
            raise BuildFailed(f"There is no {' or '.join(dependencies)[:200]} in {where}.")
        if "pyproject.toml" in contents.names and project_kind(contents.read("pyproject.toml")):
            return "pyproject.toml"
        return None

    def _own(self, contents: Contents, workspace: Path, tell: Tell) -> Plan:
        ignored = sorted(contents.names & set(BESIDE))
        if ignored:
            tell(f"A Dockerfile says all by itself: {', '.join(ignored)} not used.")
        network = network_of(self._settings)
        return Plan(
            context=contents.directory,
            dockerfile=contents.locate("Dockerfile"),
            dependencies=("Dockerfile",),
            secrets=network.write(workspace),
            arguments=network.arguments,
            command=self._settings.command_to_run,
            urlpath="",
        )

    def _generated(
        self, contents: Contents, decides: str | None, workspace: Path, tell: Tell
    ) -> Plan:
        recipe = _recipe(contents, decides, self._settings)
        network = network_of(self._settings)
        text = write(recipe, network)
        tell("Dockerfile:")
        for line in text.splitlines():
            tell(f"    {line}")
        dockerfile = workspace / "Dockerfile"
        dockerfile.write_text(text)
        # Beside a Dockerfile it counts instead of the repository's own, which might leave out
        # the very files that are installed from.
        (workspace / "Dockerfile.dockerignore").write_text(".git\n")
        return Plan(
            context=contents.directory,
            dockerfile=dockerfile,
            dependencies=_used(contents, decides),
            secrets=network.write(workspace),
            arguments=network.arguments,
            # An entry point of our own takes the base image's command away.
            command=self._settings.command_to_run if recipe.start else None,
        )


def _recipe(contents: Contents, decides: str | None, settings: BuildSettings) -> Recipe:
    names = contents.names
    runtime = contents.read("runtime.txt") if "runtime.txt" in names else None
    installs, needs_files = _installs(contents, decides)
    return Recipe(
        base=base_image(runtime, settings.base_images),
        place=contents.place,
        packages=debian_packages(contents.read("apt.txt")) if "apt.txt" in names else (),
        installs=installs,
        needs_files=needs_files,
        post_build="postBuild" in names,
        start="start" in names,
    )


def _installs(contents: Contents, decides: str | None) -> tuple[Installs | None, bool]:
    """Say what installs, and whether it needs the repository's other files for that."""
    match decides:
        case "requirements.txt":
            return "requirements.txt", refers_to_files(contents.read(decides))
        case "environment.yml":
            return "environment.yml", environment_refers_to_files(contents.read(decides))
        case "pyproject.toml":
            kind = project_kind(contents.read(decides))
            if kind is None:
                raise BuildFailed("pyproject.toml has neither a project nor a build system.")
            return kind, False
    return None, False


def _told(contents: Contents, decides: str | None) -> str:
    where = f", in {contents.place}" if contents.place else ""
    if decides is None:
        return f"Nothing says what to install{where}: the base image and the files are the image."
    rest = sorted(contents.names & set(SUPPORTED) - {decides})
    unused = f"; not used: {', '.join(rest)}" if rest else ""
    return f"{decides} decides what is installed{where}{unused}."


def _used(contents: Contents, decides: str | None) -> tuple[str, ...]:
    order = ("runtime.txt", "apt.txt", decides, "postBuild")
    return tuple(name for name in order if name and name in contents.names)
