"""What the Docker daemon itself says of an instance."""

import docker


def containers(instance: str) -> set[str]:
    """List the ids of all environments of an instance that have a container, running or not."""
    client = docker.from_env()
    try:
        found = client.api.containers(all=True, filters={"label": f"tmpenv.instance={instance}"})
        return {one["Labels"]["tmpenv.id"] for one in found}
    finally:
        client.close()


def remove_all(instance: str) -> None:
    """Remove whatever an instance has left."""
    client = docker.from_env()
    label = {"label": f"tmpenv.instance={instance}"}
    try:
        for one in client.api.containers(all=True, filters=label):
            client.api.remove_container(one["Id"], force=True, v=True)
        for network in client.networks.list(filters=label):
            network.remove()
    finally:
        client.close()
