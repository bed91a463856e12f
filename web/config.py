"""The settings of tmpenv: one typed tree, with a default for everything.

What a key means stands here and nowhere else: the help of ``tmpenv serve``,
``docs/configuration.md`` and the errors are made from these fields. Where the
values come from is decided by :mod:`web.config_sources`, and how a mistake is
told by :mod:`web.config_errors`.
"""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from culler import policy
from proxy.settings import ProxySettings
from spawner.backends.docker_settings import DockerSettings
from spawner.builder.settings import BuildSettings
from spawner.model import Pool, ServiceName, Template
from spawner.services import ServiceRecipe
from spawner.units import Duration, parse_list

#: The template of those who configured none (web/recipes.py).
BUILTIN = "jupyter"
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
NOT_REDIS = "must begin with redis://, rediss:// or unix://"
Instance = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
_MOUNT = re.compile(r"/(?:(?!\.{1,2}/)[A-Za-z0-9_.~-]+/)*")


def _source_expression(value: str) -> str:
    # What is written into a header must stay within its directive.
    if not value or any(character in value for character in ";, \r\n\t"):
        raise ValueError(f'"{value}" is no CSP source: write https://example.org, self or *')
    return value


_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}")
_ORIGIN = re.compile(rf"https?://(?:(?:{_LABEL}\.)*{_LABEL}|\[[0-9a-f:.]+\])(?::[0-9]+)?")


def _domain(value: str) -> str:
    name = value.lower().removesuffix(".")
    if name and not _DOMAIN.fullmatch(name):
        raise ValueError(
            f'"{value}" is no domain: write envs.example.org, without scheme, port and "*."'
        )
    return name


def _origin(value: str) -> str:
    origin = value.lower().removesuffix("/")
    if origin and not _ORIGIN.fullmatch(origin):
        raise ValueError(f'"{value}" is no origin: write https://example.org, without a path')
    return origin


Domain = Annotated[str, AfterValidator(_domain)]
ServiceOrigin = Annotated[str, AfterValidator(_origin)]
Ancestor = Annotated[str, BeforeValidator(_source_expression)]


class Section(BaseModel):
    """A table of the settings; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CullingSettings(policy.CullingSettings):
    """When environments are ended; each template may set its own."""

    activity_counts: Annotated[tuple[policy.Clock, ...], BeforeValidator(parse_list)] = Field(
        ("http", "ws_in"), description="The clocks that count as use: http, ws_in, ws_out, control"
    )


class TmpnbSettings(Section):
    """What is kept of tmpnb's ways."""

    adhoc: bool = Field(default=False, description="Serve /spawn/user/<name>")
    api_auth_required: bool = Field(
        default=False, description="Hand out to holders of the API key alone; no pages"
    )


class EdgeSettings(ProxySettings):
    """The data path: limits, times, CORS, and whose word on X-Forwarded-* counts."""

    cors_origins: Annotated[tuple[str, ...], BeforeValidator(parse_list)] = Field(
        (), description='Origins whose pages may read answers, or "*" for all'
    )
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...], BeforeValidator(parse_list)
    ] = Field((), description="Peers whose X-Forwarded-* headers are believed and appended to")


class PagesSettings(Section):
    """What visitors see."""

    title: str = Field("tmpenv", description="Name of this service, on every page")
    frame_ancestors: Annotated[tuple[Ancestor, ...], BeforeValidator(parse_list)] = Field(
        ("self",), description="Sites that may show the pages in a frame"
    )


def _count(value: object) -> object:
    # TOML and environment variables have no word for nothing.
    return None if value == UNLIMITED else value


UNLIMITED = "unlimited"
Most = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_count)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(parse_list)]


class LimitsSettings(Section):
    """What one caller may take, and all together; no limit where unset or "unlimited".

    A caller is an address (of IPv6 a /64), or a key. What is said of addresses
    does not hold for who shows an API key.
    """

    launches_per_hour: Most = Field(
        200, description="Launches of one address within any hour; a class may share an address"
    )
    environments: Most = Field(50, description="Environments of one address at once")
    key_launches_per_hour: Most = Field(None, description="Launches of one key within any hour")
    key_environments: Most = Field(None, description="Environments of one key at once")
    total: Most = Field(
        None, description="Environments of all callers and templates at once; spares do not count"
    )
    allow: Networks = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="Networks whose addresses have no limit but the total; before ban",
    )
    ban: Networks = Field((), description="Networks that are answered 403")


Open = Literal["read", "launch", "build", "template", "pool"]


class ApiSettings(Section):
    """What is open to all, and what needs a key."""

    open: Annotated[tuple[Open, ...], BeforeValidator(parse_list)] = Field(
        ("read", "launch"),
        description="What needs no key: read (one build, template, pool or application), launch, "
        "build, template, pool",
    )


class Settings(BaseSettings):
    """All settings of one tmpenv."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True)

    # Loopback, because the process backend isolates nothing: to be reached by
    # others is a decision, and the flag for it is short.
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 for any free one")
    metrics_host: str = Field("127.0.0.1", description="Address of /metrics; 0.0.0.0 for all")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of /metrics, for Prometheus; none where unset"
    )
    take_over: bool = Field(
        default=False,
        description="Take the port over from the tmpenv that listens on it, and have that one "
        "drain; both must share a Redis. Linux only",
    )
    environments_domain: Domain = Field(
        "",
        description="Gives each environment <id>.<domain>, an origin of its own "
        "(docs/proxy.md); localhost to try it",
    )
    service_origin: ServiceOrigin = Field(
        "",
        description="Where links from there to the service lead; to the domain itself where unset",
    )
    proxy_workers: int = Field(
        1, ge=1, le=256, description="Processes that move bytes; 1 does it within tmpenv's own"
    )
    base_url: str = Field("/", description="Path under which everything is found, like /lab1/")
    ssl_cert: Path | None = Field(
        None, description="Certificate chain: TLS is spoken; read again on SIGHUP"
    )
    ssl_key: Path | None = Field(None, description="Key of the certificate, if it is not with it")
    ssl_key_passphrase: SecretStr | None = Field(
        None, description="Passphrase of the key, if it has one"
    )
    backend: Literal["auto", "process", "docker"] = Field(
        "auto", description="What runs the environments"
    )
    redis_url: SecretStr | None = Field(
        None, description="redis://, rediss:// or unix://; an embedded Redis where unset"
    )
    state_dir: Path = Field(
        Path(),
        description="Keys, logs and the embedded Redis; $XDG_STATE_HOME/tmpenv/<instance>",
    )
    instance: Instance = Field(
        "default", description="Keeps deployments on one Redis or Docker apart"
    )
    api_key: SecretStr | None = Field(
        None, description="For operators; made at the first start, in <state_dir>/api-key"
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Tokens of environments derive from it; made at the first start, "
        "in <state_dir>/secret-key",
    )
    default_template: str = Field("", description="For launches that name none; the first if unset")
    launch_timeout: Duration = Field(timedelta(minutes=2), description="A launch waits so long")
    drain_delay: Duration | None = Field(
        None,
        description="At SIGTERM, /readyz says 503 for so long before the port closes; where unset, "
        "5 s if a balancer asks /readyz, else none (docs/replicas.md)",
    )
    max_starting: int = Field(
        default_factory=lambda: 2 * (os.cpu_count() or 1),
        ge=1,
        description="The most that start at once; twice the processors where unset",
    )
    on_exit: Literal["keep", "stop"] = Field(
        "keep", description="keep: environments outlive tmpenv and are found again; stop: all end"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least serious that is logged"
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="auto: text on a terminal, else JSON lines"
    )
    culling: CullingSettings = CullingSettings()
    pages: PagesSettings = PagesSettings()
    limits: LimitsSettings = LimitsSettings()
    tmpnb: TmpnbSettings = TmpnbSettings()
    docker: DockerSettings = DockerSettings()
    api: ApiSettings = ApiSettings()
    build: BuildSettings = BuildSettings()
    proxy: EdgeSettings = EdgeSettings()
    templates: dict[str, Template] = Field({}, description="The recipes, by name")
    pools: dict[str, Pool] = Field({}, description="How many of each template, by its name")
    services: dict[ServiceName, ServiceRecipe] = Field(
        {}, description="Companions that templates may ask for, by name"
    )

    @field_validator("templates", mode="before")
    @classmethod
    def named_by_their_keys(cls, value: object) -> object:
        """Give each template the name of its table."""
        if not isinstance(value, dict):
            return value
        return {
            name: {"name": name, **recipe} if isinstance(recipe, dict) else recipe
            for name, recipe in value.items()
        }

    @field_validator("base_url", mode="after")
    @classmethod
    def _is_mount(cls, value: str) -> str:
        # Paths are compared with it byte by byte, so it may have only one spelling.
        mount = f"/{value.strip('/')}/" if value.strip("/") else "/"
        if not _MOUNT.fullmatch(mount):
            raise ValueError(
                f'"{value}" is no path of segments of letters, digits, "-", "_", "." and "~"; '
                "write one like /lab1/"
            )
        return mount

    @field_validator("redis_url", mode="after")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        # The text never repeats it: there may be a password in it.
        if value and not value.get_secret_value().startswith(REDIS_SCHEMES):
            raise ValueError(NOT_REDIS)
        return value

    @field_validator("state_dir", "ssl_cert", "ssl_key", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value not in (None, Path()) else value

    @property
    def is_secure(self) -> bool:
        """Say whether TLS is spoken."""
        return self.ssl_cert is not None

    @property
    def state(self) -> Path:
        """Give the state directory, which is the instance's own unless one was set."""
        if self.state_dir != Path():
            return self.state_dir
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(home) / "tmpenv" / self.instance


def secret_settings() -> Iterator[tuple[str, ...]]:
    """List where the secrets stand, in tables that have names of their own."""
    return _secrets_in(Settings, ())


def _secrets_in(model: type[BaseModel], place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kinds = get_args(field.annotation) or (field.annotation,)
        if SecretStr in kinds:
            yield (*place, name)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _secrets_in(field.annotation, (*place, name))
