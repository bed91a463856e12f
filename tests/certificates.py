"""Certificates made for a test by openssl."""

import asyncio
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate of 127.0.0.1, with its key."""

    certificate: Path
    key: Path

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        return context

    def serving(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_pair(directory: Path, name: str) -> Pair:
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    subprocess.run(
        [*command.split(), "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", pair.key, "-out", pair.certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return pair


def name_shown(writer: asyncio.StreamWriter) -> str:
    """Say whose certificate the other side of a connection showed."""
    shown = writer.get_extra_info("peercert")
    return str(dict(part[0] for part in shown["subject"])["commonName"])
