"""Notice who has left while nothing is read from them.

A transport that is not read does not see its peer leave. Without this, a visitor who
is gone would keep two connections for as long as an environment takes nothing.
"""

import select
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.client import Client

# Elsewhere than on Linux only a reset is seen, which is always told.
_LEFT = getattr(select, "POLLRDHUP", 0)


def absent(clients: Iterable["Client"]) -> list["Client"]:
    """Return those whose side of the connection has ended. Never waits."""
    asked = select.poll()
    by_descriptor: dict[int, Client] = {}
    for client in clients:
        descriptor = client.transport.get_extra_info("socket").fileno()
        by_descriptor[descriptor] = client
        asked.register(descriptor, _LEFT)
    return [by_descriptor[descriptor] for descriptor, _ in asked.poll(0)]
