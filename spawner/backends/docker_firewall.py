"""Keep the host's firewall for our bridges in place, and say where that cannot be done.

The rules (:mod:`spawner.backends.docker_rules`) are applied with ``nft``: by this
process where it sees the bridge and may, else by a short container in the host's
network, from an image that the operator names. They stay when tmpenv ends, as the
environments do.
"""

import asyncio
import contextlib
import logging
import os
import re
import shutil
from pathlib import Path

from docker import APIClient
from docker.errors import APIError

from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_errors import one_line, words_of
from spawner.backends.docker_rules import Bridge, ruleset
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import INSTANCE, KIND
from spawner.errors import StartFailed

log = logging.getLogger(__name__)

_INTERFACES = Path("/sys/class/net")
#: Whether what one bridge carries between its ports is shown to the rules, and to Docker's.
_BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
#: Users other than root seldom have it on their path.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
#: What :func:`~spawner.backends.docker_spec.bridge_name` makes, and the families of companions.
_TABLE = re.compile(r"^table inet (te-[0-9a-f]{12}|tc-[0-9a-f]{4})$", re.MULTILINE)
_NFT_S = 20
_SCRIPT = f'nft "$1" && cat {_BRIDGED} 2>/dev/null || exit $?'
_UNSEEN = (
    "The kernel shows no firewall what a bridge carries (load br_netfilter): "
    "environments on one bridge can reach each other."
)


class Firewall:
    """The rules of one instance's bridges."""

    def __init__(self, instance: str, settings: DockerSettings, lane: DockerLane) -> None:
        self._instance = instance
        self._settings = settings
        self._lane = lane
        #: What is not enforced, and why; empty for nothing.
        self.gap = ""
        #: Whether rules are applied here, which costs little, or by a container.
        self.is_local = True

    async def apply(self, bridge: Bridge) -> None:
        """Put the rules of a bridge in place, whole and at once; again does no harm.

        Raises:
            StartFailed: They are required and cannot be had; the text says why.
        """
        if self._settings.firewall == "off":
            return
        gap = await self._apply(bridge)
        if gap and gap != self.gap:
            log.warning(
                "Environments are not walled off from this machine",
                extra={"event": "firewall.missing", "bridge": bridge.name, "reason": gap},
            )
        self.gap = gap
        if gap and self._settings.firewall == "require":
            raise StartFailed(f'docker.firewall is "require", and it cannot be had. {gap}')

    async def clear_away(self) -> None:
        """Remove what is left of bridges that are gone, whose rules would still cost time."""
        if self._settings.firewall == "off":
            return
        _, tables = await _nft("list", "tables", "inet")
        for name in _TABLE.findall(tables):
            if not _is_here(name):
                await _nft("delete", "table", "inet", name)

    async def _apply(self, bridge: Bridge) -> str:
        rules = ruleset(bridge, self._settings)
        self.is_local = True
        refusal = await _apply_here(bridge, rules)
        if not refusal:
            return "" if _is_set(_BRIDGED) else _UNSEEN
        if image := self._settings.firewall_image:
            self.is_local = False
            refusal, is_bridged = await self._lane.run(_apply_there, image, rules, self._instance)
            if not refusal:
                return "" if is_bridged else _UNSEEN
        return (
            "Environments can reach services of this machine and metadata services: the firewall "
            f"could not be set up ({refusal}). Run tmpenv as root or with CAP_NET_ADMIN where "
            "Docker runs, with nft installed, or set docker.firewall_image to an image that has "
            'nft; docker.firewall = "off" if you have rules of your own.'
        )


async def _apply_here(bridge: Bridge, rules: str) -> str:
    """Apply rules in this process' network; give the reason if that cannot be."""
    if not _is_here(bridge.family):
        # Its name is nobody else's: the daemon's network is not ours.
        return "Docker's bridges are not in the network in which tmpenv runs"
    return (await _nft("-f", "-", given=rules))[0]


async def _nft(*arguments: str, given: str = "") -> tuple[str, str]:
    """Run nft; give the reason if it could not do it, and what it printed."""
    nft = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
    if nft is None:
        return "nft is not installed", ""
    process = await asyncio.create_subprocess_exec(
        *(nft, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_NFT_S):
            printed, _ = await process.communicate(given.encode())
    except TimeoutError:
        return f"nft did not end within {_NFT_S} s", ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = printed.decode(errors="replace")
    return ("", text) if process.returncode == 0 else (f"nft: {one_line(text)}", "")


def _apply_there(client: APIClient, image: str, rules: str, instance: str) -> tuple[str, bool]:
    """Apply rules from a container; give the reason if that cannot be, and what the kernel shows.

    It has the host's network and the right to change it, and nothing else.
    """
    spec: Json = {
        "Image": image,
        "Entrypoint": ["/bin/sh", "-c", _SCRIPT, "firewall"],
        "Cmd": [rules],
        "User": "0:0",
        "Labels": {INSTANCE: instance, KIND: "firewall"},
        "HostConfig": {
            "NetworkMode": "host",
            "UsernsMode": "host",
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_ADMIN"],
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
            "PidsLimit": 16,
            "Memory": 64 << 20,
        },
    }
    try:
        made: str = client.create_container_from_config(spec)["Id"]  # type: ignore[no-untyped-call]
    except APIError as error:
        return f"{image}: {words_of(error)}", False
    try:
        client.start(made)
        code = client.wait(made, timeout=_NFT_S)["StatusCode"]
        printed: bytes = client.logs(made, stdout=True, stderr=True)
    except APIError as error:
        return f"{image}: {words_of(error)}", False
    finally:
        with contextlib.suppress(APIError):
            client.remove_container(made, force=True, v=True)
    text = printed.decode(errors="replace").strip()
    return ("", text.endswith("1")) if code == 0 else (f"{image}: {one_line(text)}", False)


def _is_here(family: str) -> bool:
    """Say whether this process sees a bridge whose name begins so."""
    return any(_INTERFACES.glob(f"{family}*"))


def _is_set(sysctl: Path) -> bool:
    try:
        return sysctl.read_text().strip() == "1"
    except OSError:
        return False
