"""One call to a running tmpenv, and what its refusals mean.

Knows of HTTP and of nothing that tmpenv offers: :mod:`web.client` says what is asked.
Whatever goes wrong is an error whose text tells a person what to do, and whose exit code
tells a script.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from web.addresses import is_loopback
from web.start_errors import AskedWrongly, StartError

TIMEOUT_S = 30.0
#: Events come with a sign of life every 15 s; without any for so long there is nobody.
SILENCE_S = 60.0
#: What the same request will be answered with at any other time.
_WRONG = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


class NoAnswer(StartError):
    """Nobody answers at that address, or the answer broke off."""


class Refused(StartError):
    """An answer that refuses; ``status`` and ``kind`` are what programs tell it by."""

    def __init__(self, text: str, status: int, kind: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind
        self.exit_code = AskedWrongly.exit_code if status in _WRONG else StartError.exit_code


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    name: str
    data: str


class Http:
    """Makes calls to one server with one key."""

    def __init__(self, server: str, api_key: str = "", trusted: Path | None = None) -> None:
        """Mean the tmpenv at ``server``.

        ``trusted`` is a certificate that is believed besides those of the system.
        """
        self.server = server.rstrip("/")
        self._headers = {"Authorization": f"token {api_key}"} if api_key else {}
        self._trusted = trusted

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        timeout_s: float = TIMEOUT_S,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Make one call and give its JSON; ``body``, if any, goes with it as JSON.

        Raises:
            StartError: :class:`NoAnswer`, or :class:`Refused`.
        """

        async def call() -> Any:
            async with (
                self._session(aiohttp.ClientTimeout(total=timeout_s)) as session,
                session.request(
                    method, self.server + path, json=body, ssl=trust, headers=headers
                ) as response,
            ):
                return await _body(response)

        trust = self._trust()
        with _told_as_start_errors(self.server):
            answer = asyncio.run(call())
        if not isinstance(answer, (dict, list)):
            raise _no_tmpenv(self.server)
        return answer

    def listen(self, path: str, take: Callable[[bytes], None]) -> None:
        """Make one call and give ``take`` its text as it comes, until it ends.

        Raises:
            StartError: No answer, one that refuses, or one that broke off.
        """

        async def call() -> None:
            # It may be silent for as long as it likes once it has answered.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S)
            async with (
                self._session(timeout) as session,
                session.get(self.server + path, ssl=trust) as response,
            ):
                await _expect(response, "text/plain")
                try:
                    async for part in response.content.iter_any():
                        take(part)
                except aiohttp.ClientPayloadError as error:
                    raise NoAnswer(
                        "the log broke off; the environment may go on: ask again"
                    ) from error

        trust = self._trust()
        with _told_as_start_errors(self.server):
            asyncio.run(call())

    def events(self, path: str, after: str = "") -> Iterator[Event]:
        """Give events as they come, those after the one with the id ``after``.

        Raises:
            StartError: No answer, one that refuses, or one that broke off.
        """
        with asyncio.Runner() as runner:
            events = self._events(path, after, self._trust())
            try:
                while True:
                    with _told_as_start_errors(self.server):
                        event = runner.run(_next(events))
                    if event is None:
                        return
                    yield event
            finally:
                runner.run(events.aclose())

    async def _events(self, path: str, after: str, trust: ssl.SSLContext) -> AsyncGenerator[Event]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=SILENCE_S)
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        async with (
            self._session(timeout) as session,
            session.get(self.server + path, ssl=trust, headers=headers) as response,
        ):
            await _expect(response, "text/event-stream")
            async with aclosing(_lines(response)) as lines:
                fields: dict[str, str] = {}
                async for line in lines:
                    name, _, value = line.partition(": ")
                    if line:
                        fields[name] = value
                    elif "data" in fields:
                        yield Event(fields.get("event", ""), fields["data"])
                        fields = {}

    def _session(self, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=self._headers, timeout=timeout)

    def _trust(self) -> ssl.SSLContext:
        """Say whom to believe: the system's authorities, and who shows our own certificate."""
        context = ssl.create_default_context()
        if self._trusted is None:
            return context
        try:
            context.load_verify_locations(self._trusted)
        except (OSError, ssl.SSLError) as error:
            raise StartError(f"the certificate {self._trusted} cannot be read") from error
        # The certificate itself is believed, whoever signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        # It names the site, not this machine's loopback address.
        context.check_hostname = not is_loopback(urlsplit(self.server).hostname or "")
        return context


async def _next(events: AsyncGenerator[Event]) -> Event | None:
    return await anext(events, None)


async def _lines(response: aiohttp.ClientResponse) -> AsyncGenerator[str]:
    """Give whole lines, however long: a line of a log may be longer than aiohttp reads."""
    kept = b""
    async for part in response.content.iter_any():
        *lines, kept = (kept + part).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


async def _expect(response: aiohttp.ClientResponse, content_type: str) -> None:
    if response.content_type != content_type:
        await _body(response)
        raise _no_tmpenv(str(response.url.origin()))


async def _body(response: aiohttp.ClientResponse) -> Any:
    """Give what came as JSON.

    Raises:
        Refused
    """
    body = await response.json()
    status = response.status
    kind = str(body.get("type", "")) if isinstance(body, dict) else ""
    if status == HTTPStatus.FORBIDDEN:
        raise Refused(
            "the API key is missing or wrong; give --api-key, or the --state-dir of that tmpenv",
            status,
            kind,
        )
    if status >= HTTPStatus.BAD_REQUEST:
        told = body.get("error") if isinstance(body, dict) else None
        text = f"{response.url.origin()} answered {status}: {told or 'no reason given'}"
        raise Refused(text, status, kind)
    return body


def _no_tmpenv(server: str) -> StartError:
    return StartError(f"what answers at {server} is no tmpenv; give another --server")


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
    except (aiohttp.ContentTypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _no_tmpenv(server) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoAnswer(
            f"no tmpenv answers at {server}; start one with tmpenv serve, or give another --server"
        ) from error
