"""What the way out reads of a request, and what it sends on."""

import base64

import pytest

from proxy.forward_head import BadHead, read


def credentials(user: str, key: str) -> bytes:
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{key}".encode())


def test_a_connect_names_host_port_and_who_asks() -> None:
    head = read(b"CONNECT Example.org:443 HTTP/1.1\r\n" + credentials("id", "k:y") + b"\r\n\r\n")

    assert (head.host, head.port, head.user, head.key) == ("example.org", 443, "id", "k:y")
    assert head.onward == b""
    assert "k:y" not in repr(head)


def test_an_address_of_version_6_loses_its_brackets() -> None:
    assert read(b"CONNECT [2001:DB8::1]:8443 HTTP/1.1\r\n\r\n").host == "2001:db8::1"


def test_a_request_goes_on_to_the_host_of_its_address_without_what_was_for_the_proxy() -> None:
    head = read(
        b"POST http://example.org:8080?q=1 HTTP/1.1\r\n"
        b"Host: elsewhere.example\r\n"
        b"proxy-connection: keep-alive\r\n"
        b"Connection: X-Hop, content-length\r\n"
        b"X-Hop: 1\r\n"
        b"Upgrade: h2c\r\n"
        b"Content-Length: 2\r\n"
        b"Accept:  */* \r\n" + credentials("id", "key") + b"\r\n\r\n"
    )

    assert (head.host, head.port) == ("example.org", 8080)
    assert head.onward == (
        b"POST /?q=1 HTTP/1.1\r\nHost: example.org:8080\r\n"
        b"Content-Length: 2\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET https://example.org/ HTTP/1.1\r\n\r\n",
        b"GET http://user@example.org/ HTTP/1.1\r\n\r\n",
        b"GET http://example.org/ HTTP/2\r\n\r\n",
        b"GET http://example.org/\x00 HTTP/1.1\r\nA\x00: b\r\n\r\n",
        b"GET http:///path HTTP/1.1\r\n\r\n",
        b"CONNECT example.org HTTP/1.1\r\n\r\n",
        b"CONNECT example.org:0 HTTP/1.1\r\n\r\n",
        b"CONNECT example.org:65536 HTTP/1.1\r\n\r\n",
        b"CONNECT exa\xffmple.org:443 HTTP/1.1\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nFolded: a\r\n b\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_what_cannot_be_understood_is_refused(head: bytes) -> None:
    with pytest.raises(BadHead):
        read(head)


@pytest.mark.parametrize("value", [b"Basic !!!", b"Bearer abc", b"Basic", b"Basic /w=="])
def test_credentials_that_cannot_be_read_are_none(value: bytes) -> None:
    head = read(b"CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: " + value + b"\r\n\r\n")

    assert (head.user, head.key) == ("", "")
