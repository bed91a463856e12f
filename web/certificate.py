"""Read the certificate that visitors are shown, and read it again."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from proxy.tls import BadCertificate, Certificate
from web.config import Settings
from web.start_errors import StartError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate is kept, and what opens its key."""

    chain: Path
    key: Path | None  # None where it is with the chain
    passphrase: str | None = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Give those of the settings; None where TLS is not spoken."""
        if settings.ssl_cert is None:
            return None
        secret = settings.ssl_key_passphrase
        passphrase = secret.get_secret_value() if secret else None
        return cls(settings.ssl_cert, settings.ssl_key, passphrase)

    def read(self) -> Certificate:
        """Read them.

        Raises:
            StartError: They cannot be used; the text says why.
        """
        try:
            return Certificate(self.chain, self.key, self.passphrase)
        except BadCertificate as error:
            raise StartError(f"the certificate cannot be used: {error}") from error


def renew(certificate: Certificate) -> None:
    """Read the files again; those that cannot be used change nothing, and the log says so."""
    try:
        certificate.reload()
    except BadCertificate as error:
        log.error(  # noqa: TRY400  # its text is all there is to say
            "The new certificate cannot be used; the old one is kept",
            extra={"event": "tls.kept", "reason": str(error)},
        )
    else:
        log.info("The certificate was read again", extra={"event": "tls.renewed"})
