"""Ask a running tmpenv, for the command line."""

import asyncio
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from web.addresses import is_loopback
from web.start_errors import StartError

TIMEOUT_S = 30.0


def ask(
    server: str,
    api_key: str,
    method: str,
    path: str,
    *,
    body: object = None,
    trusted: Path | None = None,
) -> dict[str, Any]:
    """Make one call and give its JSON; ``body``, if any, goes with it as JSON.

    ``trusted`` is a certificate that is believed besides those of the system.

    Raises:
        StartError: No answer, or one that refuses; the text says what to do.
    """
    server = server.rstrip("/")
    return asyncio.run(
        _ask(server, api_key, method, path, body=body, trust=_trust(server, trusted))
    )


def _trust(server: str, certificate: Path | None) -> ssl.SSLContext:
    """Say whom to believe: the system's authorities, and who shows our own certificate."""
    context = ssl.create_default_context()
    if certificate is None:
        return context
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"the certificate {certificate} cannot be read") from error
    # The certificate itself is believed, whoever signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # It names the site, not this machine's loopback address.
    context.check_hostname = not is_loopback(urlsplit(server).hostname or "")
    return context


async def _ask(
    server: str, api_key: str, method: str, path: str, *, body: object, trust: ssl.SSLContext
) -> dict[str, Any]:
    headers = {"Authorization": f"token {api_key}"} if api_key else {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(method, server + path, json=body, ssl=trust) as response,
        ):
            answer = await response.json()
            status = response.status
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise StartError(f'"{server}" is no address; give --server http://host:port') from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise StartError(
            f"the certificate of {server} is not trusted; give its file with --ssl-cert"
        ) from error
    except (aiohttp.ContentTypeError, ValueError) as error:
        raise StartError(f"what answers at {server} is no tmpenv; give another --server") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StartError(
            f"no tmpenv answers at {server}; start one with tmpenv serve, or give another --server"
        ) from error
    if status == HTTPStatus.FORBIDDEN:
        raise StartError(
            "the API key is missing or wrong; give --api-key, or the --state-dir of that tmpenv"
        )
    if status >= HTTPStatus.BAD_REQUEST or not isinstance(answer, dict):
        told = answer.get("error") if isinstance(answer, dict) else None
        raise StartError(f"{server} answered {status}: {told or 'no reason given'}")
    return answer
