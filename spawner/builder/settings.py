"""What an operator can set about builds."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from spawner.units import Duration, Size, parse_list

#: What decides what is installed, the first that is there.
Dependency = Literal["requirements.txt", "environment.yml", "Dockerfile"]
PRIORITY: tuple[Dependency, ...] = ("requirements.txt", "environment.yml", "Dockerfile")


Words = Annotated[tuple[str, ...], BeforeValidator(parse_list)]


#: JupyterLab, or the notebook server where it is not installed; of either the old names as well.
COMMAND = (
    "command -v jupyter-lab >/dev/null && set -- jupyter-lab || set -- jupyter-notebook; "
    'exec "$@" --no-browser --ip={ip} --port={port} '
    "--ServerApp.base_url={base_path} --NotebookApp.base_url={base_path} "
    "--ServerApp.allow_remote_access=True --NotebookApp.allow_remote_access=True "
    "--ServerApp.allow_origin='*' --NotebookApp.allow_origin='*'"
)


class Credential(BaseModel):
    """A login for the private repositories of a host, or below a path of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str = Field("git", min_length=1, description="Many hosts take any with a token")
    password: SecretStr | None = Field(None, description="Password, or token")
    password_file: Path | None = Field(None, description="File that holds it instead")

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.password is None) is (self.password_file is None):
            raise ValueError("needs password or password_file, one of them")
        return self

    def secret(self) -> str:
        """Give the password.

        Raises:
            OSError: The file cannot be read.
        """
        if self.password is not None:
            return self.password.get_secret_value()
        assert self.password_file is not None
        return self.password_file.read_text(encoding="utf-8").strip()


class BuildSettings(BaseModel):
    """Where repositories may lie, what images are made of, and how much a build may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: Words = Field(
        (), description="Hosts that repositories may lie on, like *.example.org; any where empty"
    )
    allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...], BeforeValidator(parse_list)
    ] = Field((), description="Networks that hosts may lie in, beside the public ones")
    fetch_size: Size = Field(2 << 30, ge=1 << 20, description="Limit of a repository's files")
    fetch_timeout: Duration = Field(timedelta(minutes=10), description="Limit of fetching it")

    gitlab_hosts: Words = Field((), description="Hosts beside gitlab.com that run GitLab")
    credentials: dict[str, Credential] = Field(
        {}, description="Logins for private repositories, by host or by host/path"
    )

    builder: Literal["dockerfile", "repo2docker"] = Field(
        "dockerfile", description="What makes images: our own Dockerfiles, or repo2docker"
    )
    priority: Annotated[tuple[Dependency, ...], BeforeValidator(parse_list)] = Field(
        PRIORITY, description="Which file decides what is installed: the first that is there"
    )
    docker_cli: str = Field(
        "",
        description="A docker command that builds with BuildKit; the first on PATH that can "
        "where empty",
    )
    base_images: dict[str, str] = Field(
        {"3": "tmpenv/jupyter"},
        description="What images are made from, by version of Python; the first is the default",
    )
    command: str = Field(
        "",
        description="What environments run whose repository brings a Dockerfile or a start; "
        "JupyterLab, else its old notebook server, where empty (docs/builds.md)",
    )
    at_once: int = Field(2, ge=1, description="Builds that run at once")
    queue: int = Field(100, ge=0, description="Builds that may wait")
    timeout: Duration = Field(timedelta(hours=1), description="Limit of a build")
    quiet_timeout: Duration = Field(
        timedelta(minutes=15), description="A build that prints nothing for so long is ended"
    )
    log_size: Size = Field(
        2 << 20, ge=64 << 10, description="Kept of a build's log: half from its head"
    )
    log_ttl: Duration = Field(timedelta(days=7), description="Logs and records are kept so long")
    pool_size: int = Field(
        10, ge=1, description="Environments at once of a template that a build made, none warm"
    )

    registry: str = Field(
        "",
        description="Where images are pushed: registry.example.org/team; images stay at the "
        "daemon where empty",
    )
    registry_username: str = Field("", description="For the registry; docker's own where empty")
    registry_password: SecretStr | None = Field(None, description="For the registry")
    registry_insecure: bool = Field(default=False, description="The registry speaks plain HTTP")
    disk_high: float = Field(
        85, gt=0, le=100, description="Percent of Docker's disk: above it, old images are removed"
    )
    disk_low: float = Field(75, gt=0, le=100, description="Percent at which that stops")

    ca_bundle: Path | None = Field(
        None, description="Authorities that builds believe beside the usual; not in the image"
    )
    pip_index_url: SecretStr | None = Field(None, description="Index of packages for pip")
    npm_registry: SecretStr | None = Field(None, description="Registry for npm")
    conda_channels: Words = Field((), description="Channels in place of those of environment.yml")
    http_proxy: SecretStr | None = Field(None, description="Proxy of builds for http")
    https_proxy: SecretStr | None = Field(None, description="Proxy of builds for https")
    no_proxy: Words = Field((), description="Hosts that builds reach without a proxy")

    @property
    def command_to_run(self) -> str:
        """What is run in an image whose own command is not known, or is gone."""
        return self.command or COMMAND

    @model_validator(mode="after")
    def _ends_below_where_it_begins(self) -> Self:
        if self.disk_low >= self.disk_high:
            raise ValueError("disk_low must be below disk_high")
        return self
