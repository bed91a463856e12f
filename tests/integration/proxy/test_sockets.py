"""Listening: what is shared, and what is refused."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.sockets import Listeners, close, listen, port_of


@contextmanager
def listening(host: str | None, port: int = 0, processes: int = 1) -> Iterator[list[Listeners]]:
    found = listen(host, port, processes)
    try:
        yield found
    finally:
        close(found)


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("others", [1, 3])
def test_a_port_where_somebody_listens_is_refused(processes: int, others: int) -> None:
    with listening("127.0.0.1", processes=others) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port_of(first), processes)


def test_processes_share_the_connections_of_one_port() -> None:
    with listening("127.0.0.1", processes=2) as found:
        clients = [socket.create_connection(("127.0.0.1", port_of(found))) for _ in range(64)]
        accepted = [accept_all(listeners[0]) for listeners in found]
        for client in clients:
            client.close()

    assert sum(accepted) == 64
    assert min(accepted) > 0


def test_all_addresses_are_listened_on_at_the_same_port() -> None:
    with listening(None, processes=2) as found:
        ports = {sock.getsockname()[1] for listeners in found for sock in listeners}
        families = [{sock.family for sock in listeners} for listeners in found]

        assert ports == {port_of(found)}
        assert families[0] == families[1]
        with socket.create_connection(("127.0.0.1", port_of(found))):
            pass


def test_what_was_bound_before_a_refusal_is_let_go() -> None:
    with listening("127.0.0.1") as taken:
        with pytest.raises(OSError, match="in use"):
            listen(None, port_of(taken), 2)
        if socket.has_ipv6:
            with listening("::1", port_of(taken)):
                pass


def accept_all(listener: socket.socket) -> int:
    listener.setblocking(False)
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1
