"""Speak TLS: with visitors under a certificate that can be renewed, and with targets."""

import asyncio
import ssl
from pathlib import Path


class BadCertificate(Exception):
    """A certificate or its key cannot be used; the text says why."""


class Certificate:
    """What the listener shows.

    The mutable state is the context that new connections get. It is replaced as
    a whole, so that a certificate is never used with another one's key.
    """

    def __init__(self, certificate: Path, key: Path | None, password: str | None = None) -> None:
        """Read the files.

        Raises:
            BadCertificate: They cannot be used.
        """
        self._certificate = certificate
        self._key = key
        self._password = password
        self.context = self._current = self._read()
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Show what the files hold now to all who connect from now on.

        Raises:
            BadCertificate: They cannot be used; what was shown is shown on.
        """
        self._current = self._read()

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # An empty password, so that OpenSSL never asks for one on a terminal.
            context.load_cert_chain(self._certificate, self._key, lambda: self._password or "")
        except ssl.SSLError as error:
            reason = error.reason or "it is none"
            raise BadCertificate(f"{self._certificate}: {reason.lower()}") from error
        except OSError as error:
            names = self._certificate if self._key is None else f"{self._certificate}, {self._key}"
            raise BadCertificate(f"{names}: {error.strerror}") from error
        return context

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _own: ssl.SSLContext
    ) -> None:
        # Called for every handshake, whether the client names a host or not.
        if self._current is not self.context:
            connection.context = self._current


def context_for_targets(*, is_verified: bool) -> ssl.SSLContext:
    """Return what connections to https targets are made with."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def end_writing(transport: asyncio.WriteTransport) -> None:
    """Close our side; TLS has no half-closed connections, so there it is both."""
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()
