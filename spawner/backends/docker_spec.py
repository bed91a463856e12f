"""Say how Docker is to run an environment: pure, in the words of the Engine API.

What stands here is the whole of an environment's confinement: no capability,
no new privileges, bounded memory (swap included), processors, processes and
log, a network on which neighbours do not hear each other, and no file of the
host but those that its template mounts.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from spawner.backends.base import Order
from spawner.backends.docker_settings import DockerSettings
from spawner.errors import StartFailed
from spawner.model import Template
from spawner.services import ServiceRecipe

Json = dict[str, Any]
INSTANCE = "tmpenv.instance"
KIND = "tmpenv.kind"
ID = "tmpenv.id"
BASE_PATH = "tmpenv.base_path"
TEMPLATE = "tmpenv.template"
DIGEST = "tmpenv.digest"
PORT = "tmpenv.port"
CREATED = "tmpenv.created"
AUTH = "tmpenv.auth"
ENVIRONMENT = "environment"
#: Kind of a network that one environment has with its companions.
PRIVATE = "companions"
#: On an environment that has companions: their names.
SERVICES = "tmpenv.services"
#: Containers listen on all their addresses; who gets there is for the network to decide.
EVERYWHERE = "0.0.0.0"  # noqa: S104
#: Logs turn over, so that half of the allowance is always kept.
_LOG_FILES = 2
_FIRST_TO_GO = 500
_CPU_PERIOD_US = 100_000  # the kernel's own default
#: Docker's own name server would pass questions on, from the host where the host's is on
#: loopback, and questions can carry anything. This one is the container's loopback.
NO_NAMES = "127.0.0.1"


def container_name(instance: str, environment_id: str) -> str:
    """Name the container of an environment.

    An id has letters and digits only, so the last dash ends the instance, and
    no two instances can mean the same name.
    """
    assert environment_id.isascii(), environment_id
    assert environment_id.isalnum(), environment_id
    return f"tmpenv-{instance}-{environment_id}"


def network_kind(template: Template) -> str:
    """Name the kind of network that a template is on: "open", "none" or "listed"."""
    return template.egress if isinstance(template.egress, str) else "listed"


def network_name(instance: str, kind: str) -> str:
    """Name the network on which environments of an instance are."""
    suffix = {"open": "", "none": "-internal", "listed": "-listed"}
    return f"tmpenv-{instance}{suffix[kind]}"


def network_spec(instance: str, kind: str) -> Json:
    """Give what a network is created with, in the SDK's words.

    Neighbours do not reach each other. Of those that are not open Docker lets
    nothing out; what of this machine is reached is for its firewall to say
    (:mod:`spawner.backends.docker_rules`).

    The name of the bridge follows from the network's. Docker 20 lets two
    networks have one name when they are made at once, but never one bridge: so
    it is the bridge that keeps two processes from making two.
    """
    name = network_name(instance, kind)
    return {
        "name": name,
        "check_duplicate": True,
        "driver": "bridge",
        "internal": kind != "open",
        "labels": {INSTANCE: instance, KIND: "network"},
        "options": {
            "com.docker.network.bridge.enable_icc": "false",
            "com.docker.network.bridge.name": bridge_name(name),
        },
    }


def bridge_name(network: str) -> str:
    """Name the host's interface of a network, within the kernel's 15 letters."""
    return "te-" + hashlib.sha256(network.encode()).hexdigest()[:12]


def labels_of(order: Order, instance: str, created: datetime) -> dict[str, str]:
    """Give the labels by which an environment is found again."""
    labels = {
        INSTANCE: instance,
        KIND: ENVIRONMENT,
        ID: order.id,
        BASE_PATH: order.base_path,
        TEMPLATE: order.template.name,
        DIGEST: order.template.digest,
        PORT: str(order.template.port),
        CREATED: created.isoformat(),
        AUTH: order.template.auth,
    }
    if order.template.services:
        labels[SERVICES] = ",".join(one.name for one in order.template.services)
    return labels


def container_spec(
    order: Order,
    *,
    instance: str,
    created: datetime,
    settings: DockerSettings,
    gateway: str = "",
    exports: Mapping[str, str] = MappingProxyType({}),
) -> Json:
    """Give the body of ``POST /containers/create``.

    ``gateway`` is this machine's address on the network, where the way out is;
    ``exports`` are the variables that tell of its companions.

    Raises:
        StartFailed: The template asks for what cannot be had.
    """
    template = order.template
    check(template, settings)
    port = f"{template.port}/tcp"
    variables = {**exports, **order.variables(ip=EVERYWHERE, port=template.port)}
    if network_kind(template) == "listed":
        variables = way_out(order, gateway, settings.egress_port) | variables
    spec: Json = {
        "Image": template.image,
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Labels": labels_of(order, instance, created),
        "HostConfig": host_spec(template, instance, settings),
    }
    if template.user:
        spec["User"] = template.user
    if command := order.command(ip=EVERYWHERE, port=template.port):
        spec["Cmd"] = command
    if settings.reach == "loopback":
        spec["ExposedPorts"] = {port: {}}
        spec["HostConfig"]["PortBindings"] = {port: [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    return spec


def check(template: Template, settings: DockerSettings) -> None:
    """Refuse a template that Docker could not run as it is meant.

    Raises:
        StartFailed: The text says what to change.
    """
    if not template.image:
        raise StartFailed(f'The template "{template.name}" has no image: set image = "…".')
    if template.egress != "open" and settings.reach == "loopback":
        # Docker publishes no ports of an internal network; a bridge that is merely not
        # masqueraded would still let packets out.
        raise StartFailed(
            f'The template "{template.name}" has an egress other than "open", which cannot be '
            'combined with reach = "loopback": set reach = "address", or egress = "open".'
        )


def way_out(order: Order, gateway: str, port: int) -> dict[str, str]:
    """Give the variables by which programs find the way to the hosts of the list."""
    url = f"http://{order.id}:{order.egress_key}@{gateway}:{port}"
    near = ("localhost", "127.0.0.1", "::1", *(one.name for one in order.template.services))
    return {
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), url),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(near)),
    }


def host_spec(template: Template, instance: str, settings: DockerSettings) -> Json:
    """Give the confinement of a template's containers."""
    spec = confinement(template, settings)
    spec["NetworkMode"] = network_name(instance, network_kind(template))
    spec["RestartPolicy"] = {"Name": "no"}
    if template.egress != "open":
        spec["Dns"] = [NO_NAMES]
    if template.mounts:
        spec["Mounts"] = [_mount(text, template.name) for text in template.mounts]
    return spec


def confinement(limits: Template | ServiceRecipe, settings: DockerSettings) -> Json:
    """Give what holds any container of ours, whatever it runs and whatever it is joined to."""
    return {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "PidsLimit": limits.pids,
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        # Not NanoCpus, which Docker refuses where the machine has fewer than the limit.
        "CpuPeriod": _CPU_PERIOD_US,
        "CpuQuota": round(limits.cpus * _CPU_PERIOD_US),
        # Where the machine itself runs out of memory, an environment goes before Docker or tmpenv.
        "OomScoreAdj": _FIRST_TO_GO,
        # A daemon's own defaults may be to share these with the host or with others.
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Init": True,
        "LogConfig": {
            "Type": "json-file",
            "Config": {
                "max-size": str(settings.log_size // _LOG_FILES),
                "max-file": str(_LOG_FILES),
            },
        },
    }


def is_root(user: str) -> bool:
    """Say whether a container's user is root; nobody named means root."""
    name = user.partition(":")[0].strip()
    return name in {"", "root"} or (name.isdigit() and int(name) == 0)


def runs_as_root(template: Template) -> StartFailed:
    """Say why an image that runs as root is not run, and what to do."""
    return StartFailed(
        f'The image {template.image} runs as root: set user = "1000:1000" or '
        f'allow_root = true in the template "{template.name}".'
    )


def _mount(text: str, template: str) -> Json:
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not (source.startswith("/") and target.startswith("/") and mode in {"", "ro", "rw"}):
        raise StartFailed(
            f'The template "{template}" mounts "{text}": write "/host:/inside[:ro|rw]".'
        )
    # A mount, unlike a bind, is refused where the host has nothing; Docker makes no directory.
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": mode == "ro"}
