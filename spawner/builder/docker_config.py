"""Lend the docker command a configuration in which it is logged in as the settings say.

A build pulls what it is made from, and base images may lie in the registry to which
images are pushed. What else the operator's configuration says goes on to hold: other
logins, and the plugins beside it.
"""

import base64
import json
import os
from pathlib import Path

from spawner.builder.logins import HUB, Login, docker_config, docker_home


def lend(login: Login, directory: Path) -> None:
    """Write a configuration into an empty directory, which nobody else may read."""
    config = docker_config()
    config.pop("currentContext", None)  # the address is said by a variable
    key = HUB if login.host == "docker.io" else login.host
    words = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    # No helper for this one, even where there is one for all.
    config["credHelpers"] = {**(config.get("credHelpers") or {}), key: ""}
    config["auths"] = {**(config.get("auths") or {}), key: {"auth": words}}
    with open(os.open(directory / "config.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:  # noqa: PTH123
        json.dump(config, file)
    plugins = docker_home() / "cli-plugins"
    if plugins.is_dir():
        (directory / "cli-plugins").symlink_to(plugins.resolve())
