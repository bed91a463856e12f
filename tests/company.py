"""A company's server, as its builds see it: channels, and an index of Python's packages.

With an authority it speaks TLS, which nobody believes who was not given the authority.
"""

import base64
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


@dataclass(frozen=True)
class Authority:
    """An authority that a test made, and a certificate that it signed."""

    certificate: Path
    context: ssl.SSLContext


def make_authority(directory: Path, address: str) -> Authority:
    """Make an authority, and a certificate of an address."""

    def openssl(words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=directory, check=True, capture_output=True)

    openssl(f"req -x509 {_KEY} -days 2 -subj /CN=planted-authority -keyout ca.key -out ca.pem")
    openssl(f"req {_KEY} -subj /CN=company -keyout company.key -out company.csr")
    (directory / "company.ext").write_text(f"subjectAltName=IP:{address}\n")
    signing = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile company.ext"
    openssl(f"x509 -req -in company.csr {signing} -out company.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "company.pem", directory / "company.key")
    return Authority(directory / "ca.pem", context)


def bridge_address() -> str:
    """Give this machine's address on Docker's default bridge, where builds run."""
    shown = subprocess.run(
        [
            "docker",
            "network",
            "inspect",
            "bridge",
            "--format",
            "{{(index .IPAM.Config 0).Gateway}}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return shown.stdout.strip()


class Company:
    """What it serves, to whom, and who asked."""

    def __init__(
        self, channel: Path, *, index: str = "", user: str = "", password: str = ""
    ) -> None:
        self._index = index.rstrip("/")
        self._login = base64.b64encode(f"{user}:{password}".encode()).decode()
        #: Projects that pip asked for, with the right password.
        self.asked: list[str] = []
        self.app = web.Application()
        self.app.router.add_get("/simple/{project}/", self._project)
        self.app.router.add_static("/planted-conda/", channel)

    async def _project(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Basic {self._login}":
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        self.asked.append(request.match_info["project"])
        raise web.HTTPFound(f"{self._index}/{request.match_info['project']}/")


@asynccontextmanager
async def open_for_builds(
    company: Company, authority: Authority | None = None
) -> AsyncIterator[str]:
    """Serve a company to builds alone; give host and port."""
    runner = web.AppRunner(company.app)
    await runner.setup()
    host = bridge_address()
    site = web.TCPSite(runner, host, 0, ssl_context=authority and authority.context)
    await site.start()
    try:
        yield f"{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
