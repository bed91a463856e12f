"""A piece of Internet of a test's own: a network namespace that this machine routes to."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.components import require

#: The public address of it, that of a metadata service, and one of a private network.
MACHINE = "198.51.100.5"
PUBLIC, METADATA, PRIVATE = "198.51.100.6", "169.254.169.254", "10.213.7.9"
#: Answers TCP on some ports, and UDP on 53, on all addresses of the namespace.
_SERVER = """\
import select, socket, sys
listeners = []
for port in (80, 443, 8443):
    listener = socket.create_server(("0.0.0.0", port))
    listeners.append(listener)
names = []
for address in sys.argv[1:]:  # each answers from where it was asked
    names.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    names[-1].bind((address, 53))
print("listening", flush=True)
while True:
    for ready in select.select([*listeners, *names], [], [])[0]:
        if ready in names:
            data, peer = ready.recvfrom(999)
            ready.sendto(b"name", peer)
        else:
            peer, _ = ready.accept()
            peer.settimeout(2)
            try:
                asked = peer.recv(9999)
                body = b"outside:" + asked
                peer.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + body)
            except OSError:
                pass
            peer.close()
"""


@dataclass(frozen=True)
class Outside:
    """Where it is reached."""

    public: str = PUBLIC
    metadata: str = METADATA
    private: str = PRIVATE
    #: This machine as it sees it.
    machine: str = MACHINE
    space: str = ""

    def reaches(self, host: str, port: int) -> bool:
        """Say whether a TCP connection from there is accepted."""
        probe = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
        inside = ["ip", "netns", "exec", self.space, sys.executable, "-c", probe, host, str(port)]
        return subprocess.run(inside, check=False, capture_output=True).returncode == 0


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def outside_world() -> Iterator[Outside]:
    """Serve beyond this machine, as Docker and its firewall see it."""
    require("root")
    mark = secrets.token_hex(3)
    space, here, there = f"tmpenv-{mark}", f"to-{mark}", f"tp-{mark}"
    _ip("netns", "add", space)
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", space)
        _ip("addr", "add", f"{MACHINE}/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", space, "addr", "add", f"{PUBLIC}/30", "dev", there)
        for address in (METADATA, PRIVATE):
            _ip("-n", space, "addr", "add", f"{address}/32", "dev", there)
            _ip("route", "add", address, "via", PUBLIC)
        _ip("-n", space, "link", "set", there, "up")
        _ip("-n", space, "route", "add", "default", "via", MACHINE)
        server = subprocess.Popen(
            [
                *("ip", "netns", "exec", space, sys.executable, "-c", _SERVER),
                *(PUBLIC, METADATA, PRIVATE),
            ],
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None
        assert server.stdout.readline() == b"listening\n"
        try:
            yield Outside(space=space)
        finally:  # what runs in it keeps a namespace, and its routes, after its name is gone
            server.terminate()
            server.wait()
            server.stdout.close()
    finally:
        _ip("netns", "del", space)
