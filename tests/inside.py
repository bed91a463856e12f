"""Try from inside a container what it can reach."""

import asyncio

from spawner.backends.base import Order
from tests.contract.rigs import DockerRig

#: Connects, and says how that went; a refusal is an answer of the host, and so it was reached.
_CONNECT = """\
import errno, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
probe = socket.socket(family, socket.SOCK_STREAM)
probe.settimeout(1)
try:
    probe.connect((sys.argv[1], int(sys.argv[2])))
    print("reached")
except OSError as error:
    print("refused" if error.errno == errno.ECONNREFUSED else "blocked:", error)
"""
#: Asks with a UDP datagram, and says whether an answer came.
_ASK = """\
import socket, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.settimeout(1)
try:
    probe.sendto(b"?", (sys.argv[1], int(sys.argv[2])))
    print("answered", probe.recv(99).decode())
except OSError as error:
    print("silent:", error)
"""


async def run_inside(rig: DockerRig, order: Order, *command: str, instance: str = "one") -> str:
    """Run a command in an environment's container; give what it printed."""
    return await run_in(rig, rig.container(order, instance), *command)


async def run_in(rig: DockerRig, container: str, *command: str) -> str:
    """Run a command in a container; give what it printed."""

    def call() -> str:
        made = rig.client.exec_create(container, list(command))
        return rig.client.exec_start(made["Id"]).decode(errors="replace")

    return await asyncio.to_thread(call)


async def reaches(rig: DockerRig, order: Order, host: str, port: int) -> bool:
    """Say whether a TCP connection from inside meets anybody: one who accepts, or refuses."""
    return await reaches_from(rig, rig.container(order), host, port)


async def reaches_from(rig: DockerRig, container: str, host: str, port: int) -> bool:
    """Say the same of a container that is no environment."""
    printed = await run_in(rig, container, "python3", "-c", _CONNECT, host, str(port))
    assert printed.startswith(("reached", "refused", "blocked")), printed
    return not printed.startswith("blocked")


async def gets_answer(rig: DockerRig, order: Order, host: str, port: int) -> bool:
    """Say whether a UDP datagram from inside is answered."""
    printed = await run_inside(rig, order, "python3", "-c", _ASK, host, str(port))
    assert printed.startswith(("answered", "silent")), printed
    return printed.startswith("answered")
