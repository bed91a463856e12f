"""Remove what tests made on a Docker daemon that others use too."""

import shutil
import subprocess
import time
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

PATIENCE_S = 10.0


def remove_networks(client: APIClient, label: str) -> bool:
    """Remove the networks with a label; False if one of them is still in use.

    Under load Docker 20.10 can lose count of a network's endpoints while it
    removes containers, and then keeps an empty network until it is restarted.
    Such a one is left: nothing that a test could do would remove it.
    """
    deadline = time.monotonic() + PATIENCE_S
    for network in client.networks(filters={"label": label}):
        while True:
            try:
                client.remove_network(network["Id"])
            except NotFound:
                break
            except APIError:
                if client.inspect_network(network["Id"])["Containers"]:
                    return False
                if time.monotonic() > deadline:
                    break
                time.sleep(0.2)
            else:
                break
        _remove_rules(network)
    return True


def _remove_rules(network: dict[str, Any]) -> None:
    bridge = (network["Options"] or {}).get("com.docker.network.bridge.name")
    if bridge and (nft := shutil.which("nft")):
        table = [nft, "delete", "table", "inet", bridge]
        subprocess.run(table, check=False, capture_output=True)
