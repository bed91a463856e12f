"""Where a target's URL leads, and which URLs are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.locations import BadLocation, Location, read_location

READ = [
    ("http://127.0.0.1:8888", Location("127.0.0.1", 8888)),
    ("http://127.0.0.1:8888/", Location("127.0.0.1", 8888)),
    ("http://hub", Location("hub", 80)),
    ("http://my_hub.example.", Location("my_hub.example.", 80)),
    ("http://bücher.example", Location("bücher.example", 80)),
    ("https://hub", Location("hub", 443, is_tls=True)),
    ("HTTPS://Hub.Example:8443/a", Location("hub.example", 8443, is_tls=True, base=b"/a")),
    ("http://[::1]:8081/hub/", Location("::1", 8081, base=b"/hub/")),
    ("http://h:1/a/b?x=1&y", Location("h", 1, base=b"/a/b", query=b"x=1&y")),
    ("http://h:1/é%20", Location("h", 1, base=b"/%C3%A9%20")),
    ("http://user:pass@h:1", Location("h", 1)),
    ("http://h:1/#part", Location("h", 1)),
    ("http+unix://%2Frun%2Fhub.sock", Location("", 0, path="/run/hub.sock")),
    ("http+unix://%2F" + "a" * 90, Location("", 0, path="/" + "a" * 90)),
    ("unix+http://%2Frun%2FHub.sock/b", Location("", 0, path="/run/Hub.sock", base=b"/b")),
]
REFUSED = [
    "",
    "hub",
    "hub:8000",
    "/hub",
    "//hub",
    "http://",
    "http:///x",
    "http://:80",
    "http://a..b",
    "http://" + "a" * 64,
    "http://h:0",
    "http://h:65536",
    "http://h:x",
    "http://[::1",
    "http://h\n:80",
    "http://h /",
    "http:\\\\h",
    "ftp://h",
    "ws://h",
    "javascript:alert(1)",
    "unix:///run/hub.sock",
    "http+unix://run",
    "http+unix:///run/hub.sock",
    "https+unix://%2Frun%2Fx",
]
JOINED = [
    # target, path, query, what is asked for there
    ("http://h", b"/user/foo", b"", b"/user/foo"),
    ("http://h", b"", b"", b"/"),
    ("http://h", b"", b"?x", b"/?x"),
    ("http://h/", b"/", b"?", b"/?"),
    ("http://h/base", b"/user/foo", b"?x", b"/base/user/foo?x"),
    ("http://h/base/", b"/user/foo", b"", b"/base/user/foo"),
    ("http://h/base", b"", b"?x", b"/base?x"),
    ("http://h/base/", b"", b"", b"/base/"),
    ("http://h/base", b"%2Flab", b"", b"/base/%2Flab"),
    ("http://h/base?a=1", b"/x", b"", b"/base/x?a=1"),
    ("http://h/base?a=1", b"/x", b"?b=2", b"/base/x?a=1&b=2"),
    ("http://h?a=1", b"/x", b"?", b"/x?a=1"),
]


@pytest.mark.parametrize(("text", "location"), READ)
def test_a_url_says_where_a_server_answers(text: str, location: Location) -> None:
    assert read_location(text) == location


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_http_or_unix_url_is_refused(text: str) -> None:
    with pytest.raises(BadLocation):
        read_location(text)


@pytest.mark.parametrize(("text", "tail", "query", "target"), JOINED)
def test_a_targets_path_comes_before_the_requests(
    text: str, tail: bytes, query: bytes, target: bytes
) -> None:
    assert read_location(text).target_for(tail, query) == target


@given(st.text() | st.text(max_size=20).map(lambda rest: "http://h" + rest))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    try:
        location = read_location(text)
    except BadLocation:
        return

    sent = location.target_for(b"/x", b"?y")
    assert sent.startswith(b"/")
    assert not set(sent) - set(range(0x21, 0x7F))
