"""Ask a running tmpenv, for the command line."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from web.addresses import is_loopback
from web.start_errors import AskedWrongly, StartError

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


def listen(
    server: str,
    api_key: str,
    path: str,
    take: Callable[[bytes], None],
    *,
    trusted: Path | None = None,
) -> None:
    """Make one call and give ``take`` its text as it comes, until it ends.

    Raises:
        StartError: No answer, one that refuses, or one that broke off.
    """
    server = server.rstrip("/")
    asyncio.run(_listen(server, api_key, path, take, _trust(server, trusted)))


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
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    with _told_as_start_errors(server):
        async with (
            aiohttp.ClientSession(headers=_headers(api_key), timeout=timeout) as session,
            session.request(method, server + path, json=body, ssl=trust) as response,
        ):
            answer = await _body(response)
    if not isinstance(answer, dict):
        raise StartError(f"what answers at {server} is no tmpenv; give another --server")
    return answer


async def _listen(
    server: str, api_key: str, path: str, take: Callable[[bytes], None], trust: ssl.SSLContext
) -> None:
    # It may be silent for as long as it likes once it has answered.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S)
    with _told_as_start_errors(server):
        async with (
            aiohttp.ClientSession(headers=_headers(api_key), timeout=timeout) as session,
            session.get(server + path, ssl=trust) as response,
        ):
            if response.content_type != "text/plain":
                await _body(response)
                raise StartError(f"what answers at {server} is no tmpenv; give another --server")
            try:
                async for part in response.content.iter_any():
                    take(part)
            except aiohttp.ClientPayloadError as error:
                raise StartError(
                    "the log broke off; the environment may go on: ask again"
                ) from error


def _headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"token {api_key}"} if api_key else {}


async def _body(response: aiohttp.ClientResponse) -> Any:
    """Give what came as JSON.

    Raises:
        StartError: It refuses; the text says why.
    """
    body = await response.json()
    status = response.status
    if status == HTTPStatus.FORBIDDEN:
        raise StartError(
            "the API key is missing or wrong; give --api-key, or the --state-dir of that tmpenv"
        )
    if status >= HTTPStatus.BAD_REQUEST:
        told = body.get("error") if isinstance(body, dict) else None
        raise StartError(f"{response.url.origin()} answered {status}: {told or 'no reason given'}")
    return body


@contextmanager
def _told_as_start_errors(server: str) -> Iterator[None]:
    """Say in one line why there was no answer, and what to do."""
    try:
        yield
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise AskedWrongly(f'"{server}" is no address; give --server http://host:port') from error
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
