"""Read the certificate that visitors are shown, and read it again."""

import logging
from pathlib import Path

from proxy.tls import BadCertificate, Certificate
from web.start_errors import StartError

log = logging.getLogger(__name__)


def read_certificate(chain: Path, key: Path | None, passphrase: str | None) -> Certificate:
    """Read a certificate chain, with its key in it or in a file of its own.

    Raises:
        StartError: It cannot be used; the text says why.
    """
    try:
        return Certificate(chain, key, passphrase)
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
