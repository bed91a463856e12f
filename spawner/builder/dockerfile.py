"""Write the Dockerfile of a repository that brings none.

Pure. What changes seldom stands first, so that it is kept from build to build:
packages of Debian, then what the files that decide ask for, then the repository's
own files. Everything but Debian's packages is done as the base image's user: uid
``NB_UID`` where the image sets that, else 1000.

The one rule: nothing that a repository chose is written here but names of Debian
packages, which matched a pattern. All else is named by us, and read in the build.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from spawner.builder.network import Network

_USER = "${NB_UID:-1000}"
#: Made for the user of the build, outside of the home directory, whose files are the repository's.
ENVIRONMENT = "/opt/environment"
#: Lists what a pyproject.toml needs, without the project itself.
_NEEDED = (
    "import sys, tomllib; print(*tomllib.load(open(sys.argv[1], 'rb'))"
    ".get('project', {}).get('dependencies', ()), sep='\\n')"
)
#: Of the build's container.
_LIST = "/tmp/needed.txt"  # noqa: S108
_PIP = "python3 -m pip install --no-cache-dir --disable-pip-version-check"

_FILES = ("requirements.txt", "environment.yml")
#: What installs, besides apt-get: a file, or the project itself.
Installs = Literal["requirements.txt", "environment.yml", "package", "dependencies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a Dockerfile is to do."""

    base: str
    #: Where the repository's files for us stand: "binder/", ".binder/" or "".
    place: str = ""
    packages: tuple[str, ...] = ()
    installs: Installs | None = None
    #: Installing needs other files of the repository, so it comes after them.
    needs_files: bool = False
    post_build: bool = False
    start: bool = False


def write(recipe: Recipe, network: Network) -> str:
    """Give the Dockerfile's text."""
    return "\n".join(_Writer(recipe, network).lines()) + "\n"


@dataclass(frozen=True, slots=True)
class _Writer:
    recipe: Recipe
    network: Network

    def lines(self) -> Iterator[str]:
        recipe = self.recipe
        yield f"FROM {recipe.base}"
        yield from self._as_root()
        if not recipe.needs_files:
            yield from self._install()
        yield f"COPY --chown={_USER} . ./"
        if recipe.needs_files:
            yield from self._install()
        if recipe.installs == "package":
            yield self._run(f"{_PIP} .")
        if recipe.post_build:
            yield self._run(f"chmod u+x {recipe.place}postBuild", f"./{recipe.place}postBuild")
        if recipe.start:
            yield f"RUN chmod u+x {recipe.place}start"
            yield f'ENTRYPOINT ["/bin/sh", "-c", "exec ./{recipe.place}start \\"$@\\"", "start"]'

    def _as_root(self) -> Iterator[str]:
        commands = [f"mkdir -p {ENVIRONMENT}", f"chown {_USER} {ENVIRONMENT}"]
        if self.recipe.installs != "environment.yml":
            commands = []
        if not (self.recipe.packages or commands):
            return
        yield "USER root"
        if commands:
            yield f"RUN {' && '.join(commands)}"
        if self.recipe.packages:
            apt = f"apt-get -q {self.network.apt_options()}"
            packages = " ".join(self.recipe.packages)
            yield self._run(
                f"{apt}update",
                f"DEBIAN_FRONTEND=noninteractive {apt}install --yes --no-install-recommends "
                f"-- {packages}",
                "rm -rf /var/lib/apt/lists/*",
            )
        yield f"USER {_USER}"

    def _install(self) -> Iterator[str]:
        recipe = self.recipe
        if recipe.installs is None:
            return
        name = recipe.installs if recipe.installs in _FILES else "pyproject.toml"
        file = recipe.place + name
        if not recipe.needs_files:
            yield f"COPY --chown={_USER} {file} {file}"
        match recipe.installs:
            case "requirements.txt":
                yield self._run(f"{_PIP} --requirement {file}")
            case "environment.yml":
                yield self._run(f"tmpenv-conda {file} {ENVIRONMENT}")
                yield f"ENV PATH={ENVIRONMENT}/bin:$PATH CONDA_PREFIX={ENVIRONMENT}"
            case _:
                listed = f'python3 -c "{_NEEDED}" {file} >{_LIST}'
                yield self._run(listed, f"{_PIP} --requirement {_LIST}", f"rm {_LIST}")

    def _run(self, *commands: str) -> str:
        """Give a RUN that sees the network's settings, each step in a line of its own."""
        mounts = [f"{mount} \\\n    " for mount in self.network.mounts()]
        return "RUN " + "".join(mounts) + " && \\\n    ".join((*self.network.settings(), *commands))
