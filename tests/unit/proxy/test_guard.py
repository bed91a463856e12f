"""Who is let into an environment that is only its visitor's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cors import Cors
from proxy.errors import Answer, EdgeError
from proxy.guard import PASS_AGE_S, Guard, guard_of, make_pass
from proxy.request import Request
from proxy.request_head import HeaderReader, Peer
from proxy.routes import Route, Standing
from proxy.settings import ProxySettings
from proxy.target import Destination

NOW = 1_800_000_000.0
TOKEN, SESSION = "417eed16", "5e5510"
COOKIE = f"Cookie: tmpenv-_session={SESSION}"
PASS = make_pass(SESSION, NOW)
PAGE = "Sec-Fetch-Mode: navigate"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
FOREIGN = "Origin: https://evil.example"
OWN = "Origin: http://Lab.example:8000"
READER = HeaderReader(cors=Cors((), 600), own_cookies_prefix=b"tmpenv-", max_headers_count=20)


def guard(**settings: object) -> Guard:
    route = Route(
        "abc",
        Standing.LIVE,
        authorization=b"token " + TOKEN.encode(),
        session=SESSION.encode(),
        template="lab",
    )
    found = guard_of(route, ProxySettings.model_validate(settings))
    assert found is not None
    return found


def request(
    *lines: str, query: str = "", method: str = "GET", path: str = "/user/abc/x", tls: bool = False
) -> Request:
    block = "".join(f"\r\n{line}" for line in ("Host: lab.example:8000", *lines))
    scheme = b"https" if tls else b"http"
    headers = READER.read(block.encode(), Peer(b"192.0.2.1", is_trusted=False, scheme=scheme))
    target = (path + query).encode()
    return Request(method.encode(), target, 1, headers, b"1", Destination(target, b"abc", b"/x"))


def judged(
    *lines: str, query: str = "", method: str = "GET", now: float = NOW, **settings: object
) -> str:
    """Return what becomes of a request: "in", "led on", or the code of its refusal."""
    found = guard(**settings).judge(request(*lines, query=query, method=method), now, b"/user/abc")
    if isinstance(found, EdgeError):
        assert (found.status, found.environment_id, found.template) == (403, "abc", "lab")
        return found.code
    return "in" if found is None else "led on"


def test_a_template_without_a_session_cookie_has_no_guard() -> None:
    assert guard_of(Route("abc", Standing.LIVE, authorization=b"token t"), ProxySettings()) is None


SHOWS_NOTHING: list[tuple[tuple[str, ...], str]] = [
    ((), ""),
    ((PAGE,), ""),
    (UPGRADE, ""),
    (("Authorization: token wrong",), ""),
    ((f"Authorization: Basic {TOKEN}",), ""),
    ((f"Authorization: {TOKEN}",), ""),
    ((f"Authorization: token {TOKEN} x",), ""),
    ((f"Authorization: token {SESSION}",), ""),
    (("Authorization: token",), ""),
    ((f"X-Authorization: token {TOKEN}",), ""),
    (("Cookie: tmpenv-_session=wrong",), ""),
    (("Cookie: tmpenv-_session=",), ""),
    (("Cookie: tmpenv-_session",), ""),
    ((f"Cookie: tmpenv-_session={TOKEN}",), ""),
    ((f"Cookie: tmpenv-lab={SESSION}",), ""),
    ((f"Cookie: Tmpenv-_session={SESSION}",), ""),
    ((f"Cookie: a=tmpenv-_session={SESSION}",), ""),
    ((f"X-Cookie: tmpenv-_session={SESSION}",), ""),
    ((), "?token=wrong"),
    ((), "?token="),
    ((), "?token"),
    ((), f"?token={SESSION}"),
    ((), f"?Token={TOKEN}"),
    ((), f"?xtoken={TOKEN}"),
    ((), f"?x=1?token={TOKEN}"),
    ((PAGE,), "?tmpenv-pass"),
    ((PAGE,), "?tmpenv-pass=1800000060"),
    ((PAGE,), "?tmpenv-pass=1800000060-"),
    ((PAGE,), f"?tmpenv-pass={SESSION}"),
    ((PAGE,), f"?tmpenv-pass={TOKEN}"),
    ((PAGE,), "?" + PASS.replace("-pass=18", "-pass=19")),
    ((PAGE,), "?" + PASS[:-1]),
    ((PAGE,), "?" + make_pass("another's", NOW)),
]


@pytest.mark.parametrize(("lines", "query"), SHOWS_NOTHING)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_shows_nothing_that_opens_it_stays_outside(
    lines: tuple[str, ...], query: str, method: str
) -> None:
    assert judged(*lines, query=query, method=method) == "not_yours"


@pytest.mark.parametrize(
    "lines",
    [
        (f"Authorization: token {TOKEN}",),
        (f"authorization:BEARER  {TOKEN} ",),
        (f"Authorization: Bearer {TOKEN}", FOREIGN),
        (f"Authorization: token {TOKEN}", FOREIGN, *UPGRADE),
        (f"Authorization: token {TOKEN}", "Cookie: tmpenv-_session=wrong"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_who_presents_the_token_is_in_wherever_they_come_from(
    lines: tuple[str, ...], method: str
) -> None:
    assert judged(*lines, method=method) == "in"


@pytest.mark.parametrize("lines", [(), (FOREIGN,), (*UPGRADE, FOREIGN)])
@pytest.mark.parametrize(
    "query", [f"?token={TOKEN}", f"?a=b&token={TOKEN}&c", f"?token=x&token={TOKEN}"]
)
def test_a_script_may_have_the_token_in_the_query(lines: tuple[str, ...], query: str) -> None:
    assert judged(*lines, query=query) == "in"


@pytest.mark.parametrize(
    "line",
    [
        COOKIE,
        f"cookie: a=b; tmpenv-_session={SESSION};c=d",
        f"Cookie: tmpenv-_session=planted; tmpenv-_session={SESSION}",
        f"Cookie: a=b\r\nCookie: tmpenv-_session={SESSION}",
    ],
)
@pytest.mark.parametrize("more", [(), (PAGE,), ("Authorization: Basic eDp5",), (OWN,), UPGRADE])
def test_the_browser_that_was_given_it_is_in(line: str, more: tuple[str, ...]) -> None:
    assert judged(line, *more) == "in"
    assert judged(line, *more, query="?token=wrong") == "in"


CHANGES = [("GET", UPGRADE), *((method, ()) for method in ("POST", "PUT", "PATCH", "DELETE", "X"))]


@pytest.mark.parametrize(("method", "lines"), CHANGES)
@pytest.mark.parametrize(
    ("origin", "verdict"),
    [
        ("", "in"),
        (OWN, "in"),
        ("Origin: https://lab.example:8000", "in"),
        (FOREIGN, "foreign_origin"),
        ("Origin: null", "foreign_origin"),
        ("Origin: http://lab.example", "foreign_origin"),
        ("Origin: http://lab.example:8001", "foreign_origin"),
        ("Origin: http://lab.example:8000.evil.example", "foreign_origin"),
        ("Origin: http://xlab.example:8000", "foreign_origin"),
        ("Origin: lab.example:8000", "foreign_origin"),
        ("Origin: ", "foreign_origin"),
        ("Origin: *", "foreign_origin"),
    ],
)
def test_with_the_cookie_alone_a_foreign_page_changes_nothing_and_opens_no_websocket(
    method: str, lines: tuple[str, ...], origin: str, verdict: str
) -> None:
    origins = (origin,) if origin else ()

    assert judged(COOKIE, *origins, *lines, method=method) == verdict
    # That all may read answers is no leave to act for the visitor.
    assert judged(COOKIE, *origins, *lines, method=method, cors_origins=["*"]) == verdict


@pytest.mark.parametrize(("method", "lines"), CHANGES)
def test_an_origin_that_is_named_in_the_settings_is_not_foreign(
    method: str, lines: tuple[str, ...]
) -> None:
    cors_origins = ["https://EVIL.example/", "https://other.example"]

    assert judged(COOKIE, FOREIGN, *lines, method=method, cors_origins=cors_origins) == "in"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_may_come_from_anywhere(method: str) -> None:
    assert judged(COOKIE, FOREIGN, method=method) == "in"


@pytest.mark.parametrize(
    ("host", "origin", "verdict"),
    [
        ("lab.example", "http://lab.example:80", "in"),
        ("lab.example:80", "http://lab.example", "in"),
        ("LAB.example:443", "https://lab.example", "in"),
        ("lab.example:80", "https://lab.example", "foreign_origin"),
        ("lab.example:8080", "http://lab.example", "foreign_origin"),
    ],
)
def test_a_default_port_says_nothing(host: str, origin: str, verdict: str) -> None:
    headers = READER.read(
        f"\r\nHost: {host}\r\nOrigin: {origin}\r\n{COOKIE}".encode(),
        Peer(b"192.0.2.1", is_trusted=False),
    )
    target = b"/user/abc/x"
    asked = Request(b"POST", target, 1, headers, b"1", Destination(target, b"abc", b"/x"))

    found = guard().judge(asked, NOW, b"/user/abc")

    assert (found.code if isinstance(found, EdgeError) else "in") == verdict


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (f"?{PASS}", ""),
        (f"?a=b&{PASS}&c=%2F&d", "?a=b&c=%2F&d"),
        (f"?token={TOKEN}", ""),
        (f"?{PASS}&token={TOKEN}", ""),
        (f"?token=theirs&{PASS}", "?token=theirs"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_load_leaves_what_opened_it_behind_and_takes_the_cookie(
    query: str, left: str, method: str
) -> None:
    found = guard().judge(request(PAGE, query=query, method=method), NOW, b"/user/abc")

    assert isinstance(found, Answer)
    assert found.status == 302
    assert found.lines.decode().split("\r\n")[1:] == [
        f"Location: /user/abc/x{left}",
        f"Set-Cookie: tmpenv-_session={SESSION}; Path=/user/abc; HttpOnly; SameSite=Lax",
    ]


def test_over_tls_the_cookie_is_secure() -> None:
    found = guard().judge(request(PAGE, query=f"?{PASS}", tls=True), NOW, b"/")

    assert isinstance(found, Answer)
    assert found.lines.endswith(b"; Path=/; HttpOnly; SameSite=Lax; Secure")


def test_no_path_leads_on_to_another_host() -> None:
    found = guard().judge(request(PAGE, query=f"?{PASS}", path="/\\evil.example"), NOW, b"/")

    assert isinstance(found, Answer)
    assert b"\r\nLocation: /%5Cevil.example\r\n" in found.lines


def test_a_pass_is_for_a_page_and_for_a_minute() -> None:
    query = f"?{PASS}"

    assert judged(query=query) == "led on"
    assert judged(query=query, method="POST") == "not_yours"
    assert judged(*UPGRADE, query=query) == "not_yours"
    assert judged(PAGE, query=query, now=NOW + PASS_AGE_S) == "led on"
    assert judged(PAGE, query=query, now=NOW + PASS_AGE_S + 1) == "not_yours"
    assert judged(PAGE, COOKIE, query=query, now=NOW + PASS_AGE_S + 1) == "in"


@given(
    value=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60),
    place=st.sampled_from(("cookie", "authorization", "token", "pass")),
    method=st.sampled_from(("GET", "POST")),
)
def test_nothing_that_can_be_guessed_opens_it(value: str, place: str, method: str) -> None:
    lines = {
        "cookie": (f"Cookie: tmpenv-_session={value}",),
        "authorization": (f"Authorization: token {value}",),
    }.get(place, ())
    query = {"token": f"?token={value}", "pass": f"?tmpenv-pass={value}"}.get(place, "")

    assert judged(*lines, query=query, method=method) == "not_yours"
