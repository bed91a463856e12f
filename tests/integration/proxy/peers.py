"""Try the contract on nginx, haproxy and configurable-http-proxy, and keep what came of it.

``python -m tests.integration.proxy.peers`` takes some minutes. It writes ``peers.json``,
and from that the table in ``docs/proxy.md``. Each peer is set up as a careful operator
would for this job: with the contract's limits, with keep-alive, with the headers that say
where a request comes from, and without those by which a client could say so itself.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.components import CHP
from tests.integration.proxy import table
from tests.integration.proxy.promises import PROMISES, Kind, Promise
from tests.integration.proxy.trial import (
    BROKEN,
    KEPT,
    Findings,
    reserved_port,
    run_tests,
    try_on,
    why_broken,
)
from tests.peers import others
from tests.peers.peer import Peer

IDS = ("abc", "def")
PATIENCE_S = 4.0
REST_API = Path(__file__).parents[1] / "chp"
VERSIONS: Mapping[str, Sequence[str]] = {
    "nginx": ["nginx", "-v"],
    "haproxy": ["haproxy", "-v"],
    "chp": [str(CHP), "--version"],
}


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """Return ``text`` with all ``changes``, each of which must apply."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


class Nginx(others.Nginx):
    """nginx with the contract's limits, believing nothing that a client claims."""

    def command(self) -> Sequence[str]:
        command = super().command()
        alone = "".join(
            f"location = /user/{name} {{ proxy_pass http://environments; }}\n" for name in self.ids
        )
        prefixes = "".join(f"'~^/user/{name}(/|$)' /user/{name};" for name in self.ids)
        conf = self.directory / "nginx.conf"
        conf.write_text(
            replaced(
                conf.read_text(),
                ("map $http_upgrade", f"map $uri $prefix {{ {prefixes} }}\n    map $http_upgrade"),
                ("location / {", f"{alone}location / {{"),
                ("$proxy_add_x_forwarded_for;", "$remote_addr;\n" + _NGINX_HEADERS),
                ("backlog=4096;", "backlog=4096 so_keepalive=on;\n" + _NGINX_LIMITS),
            )
        )
        return command


_NGINX_HEADERS = """
        proxy_set_header X-Forwarded-Prefix $prefix;
        proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header Forwarded "";
"""
_NGINX_LIMITS = """
        large_client_header_buffers 4 32k;
        proxy_socket_keepalive on;
        server_tokens off;
"""


class Haproxy(others.Haproxy):
    """haproxy with the contract's limits, believing nothing that a client claims."""

    def command(self) -> Sequence[str]:
        command = super().command()
        paths = " ".join(f"/user/{name}" for name in self.ids)
        below = " ".join(f"/user/{name}/" for name in self.ids)
        conf = self.directory / "haproxy.cfg"
        conf.write_text(
            replaced(
                re.sub(r"use_backend %.*", "", conf.read_text()),
                ("nbthread 1", "nbthread 1\n" + _HAPROXY_LIMITS),
                (
                    "option forwardfor",
                    "option forwardfor\n    option tcpka\n    option abortonclose",
                ),
                (
                    "default_backend nowhere",
                    _HAPROXY_HEADERS + _HAPROXY_ROUTES.format(paths=paths, below=below),
                ),
            )
        )
        return command


_HAPROXY_LIMITS = """
    tune.bufsize 73728
    tune.http.maxhdr 201
"""
_HAPROXY_HEADERS = """http-request del-header X-Forwarded-For
    http-request del-header X-Forwarded-Port
    http-request del-header X-Real-IP
    http-request del-header Forwarded
    http-request set-header X-Forwarded-Prefix /user/%[path,field(3,/)]
"""
_HAPROXY_ROUTES = """    use_backend environments if {{ path {paths} }} || {{ path_beg {below} }}
    default_backend nowhere
"""

PEERS: Mapping[str, type[Peer]] = {
    "nginx": Nginx,
    "haproxy": Haproxy,
    "chp": others.ConfigurableHttpProxy,
}


def state(name: str, findings: Findings, promise: Promise) -> str:
    """Return in one word what came of a promise."""
    found = findings[promise.id]
    if found[KEPT] and found[BROKEN]:
        return table.IN_PART
    if found[BROKEN]:
        return table.BROKEN
    if found[KEPT]:
        return table.KEPT
    is_for_it = promise.kind is Kind.ANY or (name == "chp" and promise.id.startswith("8."))
    return table.UNTRIED if is_for_it else table.ABSENT


async def try_peer(name: str, directory: Path) -> Findings:
    """Run the suite against a peer, tell what was broken, and return what came of it."""
    with reserved_port() as port:
        async with PEERS[name](directory, port, IDS) as peer:
            findings = await try_on(peer, f"--patience={PATIENCE_S}", "-W", "default")
    for test, why in why_broken(directory / "report.xml"):
        sys.stdout.write(f"{name}: {test}: {why}\n")
    if name == "chp":  # its own REST API, by the tests of ours
        report = directory / "rest-api.xml"
        found = await run_tests([str(REST_API)], report, CHP=str(CHP))
        findings |= {id_: counts for id_, counts in found.items() if id_.startswith("8.")}
    return findings


def version(name: str) -> str:
    ran = subprocess.run(VERSIONS[name], capture_output=True, text=True, check=True)
    found = re.search(r"\d+(\.\d+)+", ran.stdout + ran.stderr)
    assert found
    return found[0]


def main() -> None:
    """Try all peers, or those that are named, and write down what came of it."""
    found = table.read_found() if table.FOUND.exists() else {}
    for name in sys.argv[1:] or PEERS:
        with tempfile.TemporaryDirectory() as directory:
            findings = asyncio.run(try_peer(name, Path(directory)))
        states = {promise.id: state(name, findings, promise) for promise in PROMISES}
        found[name] = {"version": version(name), "promises": states}
    table.FOUND.write_text(json.dumps({name: found[name] for name in PEERS}, indent=1) + "\n")
    table.DOCUMENT.write_text(table.document(table.DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
