"""What an environment sets stays with it, as browsers read it.

Each rule is held against a model of what a browser does with the header, not against
the rule's own words.
"""

import posixpath
import re
from http import cookiejar
from urllib.parse import unquote_to_bytes
from urllib.request import Request

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.response_head import ResponseReader, environment_rules
from proxy.settings import ProxySettings
from tests.unit.proxy.cookies import store_cookie
from tests.unit.proxy.response_oracle import assert_stays_inside

RULES = environment_rules(ProxySettings(), b"/user/abc", "10.0.0.5", 8888)
OTHERS = ("/", "/user/", "/user/abcd/", "/user/other/x", "/api/spawn")


def relayed(name: bytes, value: bytes, *, at_prefix: bool = False) -> bytes | None:
    """Return the value that reaches the browser, None if the line is dropped."""
    sent = b"HTTP/1.1 200 OK\r\nX: y\r\n" + name + b": " + value + b"\r\n\r\n"
    head = ResponseReader(RULES, 10_000).read(sent, at_prefix=at_prefix)
    assert head is not None
    _, found, value = head.headers.kept.partition(b"\r\n" + name + b": ")
    return value.strip(b" \t") if found else None


def pieces(*known: bytes) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(known), max_size=8).map(b"".join)


cookies = pieces(
    b"a=b", b"=", b"tmpenv-s", b";", b"; ", b" ", b"\t", b"Path", b"path=", b"/", b"/user/abc",
    b"/user/abc/", b"/user/abcd", b"/user/", b"Domain=", b"h", b".", b"..", b"x", b"Secure", b",",
)  # fmt: skip


@given(cookies, st.booleans())
@example(cookie=b"a=b; Path=/user/abc/; Path=x", at_prefix=True)
@example(cookie=b"=tmpenv-s=x", at_prefix=False)
@example(cookie=b"a=b; path=/user/abc/; PATH =\t/", at_prefix=False)
def test_a_cookie_goes_to_its_environment_alone(cookie: bytes, at_prefix: bool) -> None:
    kept = relayed(b"Set-Cookie", cookie, at_prefix=at_prefix)

    if kept is not None:
        assert kept == cookie.strip(b" \t")
        assert_stays_inside(kept, b"/user/abc" if at_prefix else b"/user/abc/lab")


@given(cookies, st.booleans())
def test_the_standard_librarys_jar_sends_a_kept_cookie_nowhere_else(
    cookie: bytes, at_prefix: bool
) -> None:
    kept = relayed(b"Set-Cookie", cookie, at_prefix=at_prefix)
    if kept is None:
        return
    jar = cookiejar.CookieJar()
    asked = Request("http://hub.example/user/abc" + ("" if at_prefix else "/lab"))

    jar.extract_cookies(Response(kept.decode()), asked)

    for path in OTHERS:
        request = Request("http://hub.example" + path)
        jar.add_cookie_header(request)
        assert request.get_header("Cookie") is None


class Response:
    """What a jar asks of a response."""

    def __init__(self, cookie: str) -> None:
        self._cookie = cookie

    def info(self) -> "Response":
        return self

    def get_all(self, name: str, default: list[str]) -> list[str]:
        return [self._cookie] if name == "Set-Cookie" else default


@pytest.mark.parametrize("cookie", [b"a=b", b"a=b; Path=/user/abc/", b"a=b; Path=x; Secure"])
def test_a_cookie_of_its_own_is_kept(cookie: bytes) -> None:
    stored = store_cookie(cookie, b"/user/abc/lab")

    assert relayed(b"Set-Cookie", cookie) == cookie
    assert stored is not None
    assert stored.goes_to(b"/user/abc/lab")


def seen_by_a_browser(url: bytes) -> bytes:
    """Return a URL without what its parser takes out or takes for a slash (WHATWG §4.4)."""
    return url.strip(bytes(range(0x21))).replace(b"\t", b"").replace(b"\\", b"/")


locations = st.tuples(
    st.sampled_from([b"http://10.0.0.5:8888", b"HTTP://10.0.0.5:8888", b"http://10.0.0.5:88888"]),
    pieces(b"/", b"\\", b"\t", b" ", b"evil.example", b"@", b"?", b"#", b":", b"..", b"x", b"//"),
).map(b"".join)


@given(locations)
def test_a_location_that_is_rewritten_leads_to_this_site(location: bytes) -> None:
    kept = relayed(b"Location", location)

    assert kept is not None
    if kept != location.strip(b" \t"):
        assert location.lower().startswith(b"http://10.0.0.5:8888")
        assert re.match(rb"/(?!/)", seen_by_a_browser(kept))


scopes = pieces(
    b"/user/abc/", b"/user/abc", b"/", b".", b"..", b"%2e", b"%2E", b"\\", b"\t", b" ", b"x", b"?",
)  # fmt: skip


@given(scopes)
@example(b"/user/abc/.\t./")
def test_a_service_worker_that_is_allowed_stays_inside(scope: bytes) -> None:
    kept = relayed(b"Service-Worker-Allowed", scope)
    if kept is None:
        return

    path, _, _ = seen_by_a_browser(kept).partition(b"?")
    resolved = posixpath.normpath(unquote_to_bytes(path)) + b"/"
    assert resolved.startswith(b"/user/abc/")
