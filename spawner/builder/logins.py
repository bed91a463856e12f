"""Find out as whom a registry is asked: by the settings, else by docker's own config.json.

What docker's configuration names a helper for, the helper is asked, as docker
does. A file that cannot be read or a helper that fails means nobody: the registry
may let anybody in, and says so if not.
"""

import asyncio
import base64
import binascii
import json
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spawner.builder.settings import BuildSettings

_HELPED_WITHIN_S = 20.0
#: By this docker knows its own registry, in place of its host.
HUB = "https://index.docker.io/v1/"
#: What a helper's name is put together from.
_HELPER = re.compile(r"[A-Za-z0-9._-]+")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """As whom a registry is asked."""

    #: The registry's host, with its port if it has one.
    host: str
    username: str
    password: str = field(repr=False)

    def of(self, image: str) -> dict[str, str] | None:
        """Give what Docker is told along with an image; None where it is another registry's."""
        if registry_host(image) != self.host:
            return None
        return {"username": self.username, "password": self.password}


def registry_host(image: str) -> str:
    """Give the host of the registry that a reference means, as docker reads it."""
    first, slash, _ = image.partition("/")
    is_host = slash and (first == "localhost" or "." in first or ":" in first)
    return first if is_host else "docker.io"


def login_of(settings: BuildSettings) -> Login | None:
    """Give what the settings say; None where they leave it to docker."""
    if not settings.registry or not settings.registry_username:
        return None
    password = settings.registry_password
    return Login(
        # Whatever follows a slash makes the first part the registry's.
        registry_host(f"{settings.registry}/"),
        settings.registry_username,
        password.get_secret_value() if password else "",
    )


async def find_login(settings: BuildSettings) -> Login | None:
    """Give what the settings say, else what docker knows; None if neither does."""
    if login := login_of(settings):
        return login
    host = registry_host(f"{settings.registry}/")
    config = await asyncio.to_thread(docker_config)
    keys = [HUB] if host == "docker.io" else [host, f"https://{host}", f"http://{host}"]
    for key in keys:
        helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
        if helper and (login := await _ask_helper(str(helper), key, host)):
            return login
    for key in keys:
        if login := _kept((config.get("auths") or {}).get(key) or {}, host):
            return login
    return None


def docker_home() -> Path:
    """Give the directory of docker's configuration."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def docker_config() -> dict[str, Any]:
    """Read docker's configuration; blocks. Empty if there is none."""
    try:
        found = json.loads((docker_home() / "config.json").read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        log.warning("docker's config.json cannot be read", extra={"event": "registry.no_config"})
        return {}
    return found if isinstance(found, dict) else {}


def _kept(entry: dict[str, Any], host: str) -> Login | None:
    try:
        username, colon, password = (
            base64.b64decode(entry.get("auth") or "").decode().partition(":")
        )
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Login(host, username, password) if colon else None


async def _ask_helper(name: str, key: str, host: str) -> Login | None:
    if not _HELPER.fullmatch(name):
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            *(f"docker-credential-{name}", "get"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        log.warning("no such helper", extra={"event": "registry.no_helper", "helper": name})
        return None
    try:
        async with asyncio.timeout(_HELPED_WITHIN_S):
            printed, _ = await process.communicate(key.encode())
        found = json.loads(printed) if process.returncode == 0 else {}
        return Login(host, found["Username"], found["Secret"])
    except (TimeoutError, ValueError, KeyError, TypeError):
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
