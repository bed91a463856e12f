"""Decide who is let into an environment that is only its visitor's. Pure.

Whoever shows the environment's token is in: in ``Authorization``, or as ``token`` in
the query. So is the browser that holds the session cookie, which it gets for a
*pass* in the query: a pass is in the link that hands out, and is worth nothing a
minute later. Page loads leave passes and tokens behind: they are led on without.

A cookie is sent by a browser whoever asks for it to. So with a cookie alone,
what another origin's page began may neither open a WebSocket nor change anything.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy.errors import Answer, EdgeError
from proxy.request import Request
from proxy.routes import Route
from proxy.settings import ProxySettings

PASS_AGE_S = 60
_PARAMETER = b"tmpenv-pass"
_COOKIE = b"_session"  # with the prefix of our own; no template's name begins like this
_CREDENTIALS = re.compile(rb"\r\n(authorization|cookie):([^\r]*)", re.IGNORECASE)
_TOKEN = re.compile(rb"[ \t]*(?:token|bearer)[ \t]+([^ \t]+)[ \t]*", re.IGNORECASE)
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def guard_of(route: Route, settings: ProxySettings) -> "Guard | None":
    """Return what guards the environment of ``route``, None if its address is enough."""
    if not route.session:
        return None
    return Guard(
        environment_id=route.environment_id,
        template=route.template,
        token=route.authorization.removeprefix(b"token "),
        session=route.session,
        cookie=settings.own_cookies_prefix.encode() + _COOKIE,
        origins=frozenset(one.lower().rstrip("/").encode() for one in settings.cors_origins),
    )


def make_pass(session: str, now: float) -> str:
    """Make a parameter for which a browser gets the session cookie; ``now`` is the time of day."""
    expiry = b"%d" % (int(now) + PASS_AGE_S)
    return b"=".join((_PARAMETER, expiry + b"-" + _signature(session.encode(), expiry))).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What opens one environment."""

    environment_id: str
    template: str
    token: bytes
    session: bytes
    cookie: bytes  # the session cookie's name
    origins: frozenset[bytes]  # whose pages may do what the environment's own may

    def judge(self, request: Request, now: float, path: bytes) -> EdgeError | Answer | None:
        """Return None if a request is let in, else what it is answered.

        ``path`` is where the session cookie is valid.
        """
        target = request.destination.target
        parameters = target.partition(b"?")[2].split(b"&") if b"?" in target else []
        opening = [one for one in parameters if self._opens(one, now)]
        if opening and self._is_led_on(request, opening):
            return self._lead_on(request, opening, path)
        headers = _CREDENTIALS.findall(request.headers.kept_whole)
        if any(_is_token(one) for one in opening) or self._has_token(headers):
            return None
        if not self._has_cookie(headers):
            return self._refusal("not_yours", "This environment is another visitor's.")
        if self._is_foreign(request) and (request.is_upgrade or request.method not in _SAFE):
            return self._refusal("foreign_origin", "A page of another origin may not do this.")
        return None

    def _opens(self, parameter: bytes, now: float) -> bool:
        name, _, value = parameter.partition(b"=")
        if name == b"token":
            return hmac.compare_digest(value, self.token)
        return name == _PARAMETER and self._is_pass(value, now)

    def _is_pass(self, value: bytes, now: float) -> bool:
        expiry, _, signature = value.partition(b"-")
        is_ours = hmac.compare_digest(signature, _signature(self.session, expiry))
        return is_ours and now <= int(expiry)

    def _is_led_on(self, request: Request, opening: Iterable[bytes]) -> bool:
        if request.is_upgrade or request.method not in (b"GET", b"HEAD"):
            return False
        return request.headers.opens_page or not all(map(_is_token, opening))

    def _lead_on(self, request: Request, opening: list[bytes], path: bytes) -> Answer:
        """Give the session cookie, and lead to the same place without what it was given for."""
        where, _, query = request.destination.target.partition(b"?")
        kept = b"&".join(one for one in query.split(b"&") if one not in opening)
        if where.startswith(b"/\\"):
            where = b"/%5C" + where[2:]  # which browsers would read as //, another host
        location = where + (b"?" + kept if kept else b"")
        secure = b"; Secure" if request.headers.seen_scheme == b"https" else b""
        cookie = b"%b=%b; Path=%b; HttpOnly; SameSite=Lax" % (self.cookie, self.session, path)
        lines = b"\r\nLocation: %b\r\nSet-Cookie: %b%b" % (location, cookie, secure)
        return Answer(302, b"", b"text/plain", lines=lines)

    def _has_token(self, headers: list[tuple[bytes, bytes]]) -> bool:
        shown = [_TOKEN.fullmatch(value) for name, value in headers if name[:1] in b"aA"]
        return any(one is not None and hmac.compare_digest(one[1], self.token) for one in shown)

    def _has_cookie(self, headers: list[tuple[bytes, bytes]]) -> bool:
        # Others may have planted cookies of the name, so each is tried.
        pairs = [
            pair.strip(b" \t").partition(b"=")
            for name, value in headers
            if name[:1] in b"cC"
            for pair in value.split(b";")
        ]
        values = [value for name, _, value in pairs if name == self.cookie]
        return any(hmac.compare_digest(value, self.session) for value in values)

    def _is_foreign(self, request: Request) -> bool:
        origin = request.headers.origin
        if origin is None:
            return False
        origin = origin.lower()
        scheme, mark, authority = origin.partition(b"://")
        if not mark:
            return True  # "null": of a page that may be anybody's
        port = _DEFAULT_PORTS.get(scheme, b"")
        own = request.headers.seen_host.lower().removesuffix(port)
        return authority.removesuffix(port) != own and origin not in self.origins

    def _refusal(self, code: str, message: str) -> EdgeError:
        return EdgeError(403, code, message, self.environment_id, self.template)


def _is_token(parameter: bytes) -> bool:
    return parameter.startswith(b"token=")


def _signature(session: bytes, expiry: bytes) -> bytes:
    return hmac.new(session, b"pass:" + expiry, hashlib.sha256).hexdigest().encode()
