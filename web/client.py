"""Ask a running tmpenv, for the command line."""

import asyncio
from http import HTTPStatus
from typing import Any

import aiohttp

from web.start_errors import StartError

TIMEOUT_S = 30.0


def ask(server: str, api_key: str, method: str, path: str) -> dict[str, Any]:
    """Make one call and give its JSON.

    Raises:
        StartError: No answer, or one that refuses; the text says what to do.
    """
    return asyncio.run(_ask(server.rstrip("/"), api_key, method, path))


async def _ask(server: str, api_key: str, method: str, path: str) -> dict[str, Any]:
    headers = {"Authorization": f"token {api_key}"} if api_key else {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(method, server + path) as response,
        ):
            body = await response.json()
            status = response.status
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise StartError(f'"{server}" is no address; give --server http://host:port') from error
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
    if status >= HTTPStatus.BAD_REQUEST or not isinstance(body, dict):
        told = body.get("error") if isinstance(body, dict) else None
        raise StartError(f"{server} answered {status}: {told or 'no reason given'}")
    return body
