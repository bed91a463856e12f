"""Where a page of the edge is read decides where its parts come from."""

import pytest

from proxy.cors import Cors
from proxy.errors import EdgeError
from proxy.request import Request
from proxy.request_head import HeaderReader, Peer
from web.config_sources import load
from web.edge_pages import EdgePages
from web.origin import hosts_of

GONE = EdgeError(410, "gone", "x", "abc", "lab", "idle")
READER = HeaderReader(cors=Cors((), 600), own_cookies_prefix=b"tmpenv-", max_headers_count=20)


def edge_pages(**flags: str) -> EdgePages:
    settings = load(flags=flags, environ={})
    return EdgePages(settings.pages, settings.base_url, hosts_of(settings))


def asked(host: bytes, *, is_on_own_host: bool, is_tls: bool = False) -> Request:
    peer = Peer(b"192.0.2.1", is_trusted=False, scheme=b"https" if is_tls else b"http")
    headers = READER.read(b"\r\nHost: " + host, peer)
    return Request(b"GET", b"/", 1, headers, b"1", is_on_own_host=is_on_own_host)


@pytest.mark.parametrize(
    ("settings", "is_tls", "service", "mount"),
    [
        ({}, False, "http://envs.example:8000", "/"),
        ({}, True, "https://envs.example:8000", "/"),
        ({"service_origin": "https://lab.example"}, False, "https://lab.example", "/"),
        ({"base_url": "/lab1/"}, False, "http://envs.example:8000", "/lab1/"),
        (
            {"base_url": "/lab1/", "service_origin": "https://lab.example"},
            True,
            "https://lab.example",
            "/lab1/",
        ),
    ],
)
def test_on_an_environments_host_all_comes_from_the_service(
    settings: dict[str, str], is_tls: bool, service: str, mount: str
) -> None:
    pages = edge_pages(environments_domain="envs.example", **settings)

    request = asked(b"abc.envs.example:8000", is_on_own_host=True, is_tls=is_tls)
    page = pages(GONE, request)

    assert f'href="{service}{mount}launch/lab?new=1"'.encode() in page.body
    assert f'<script src="{service}{mount}static/'.encode() in page.body
    assert f"script-src {service}; style-src {service}; img-src {service};".encode() in page.lines


@pytest.mark.parametrize("domain", ["", "envs.example"])
def test_on_the_services_host_it_comes_from_there(domain: str) -> None:
    pages = edge_pages(environments_domain=domain)

    page = pages(GONE, asked(b"lab.example", is_on_own_host=False))

    assert b'href="/launch/lab?new=1"' in page.body
    assert b"script-src 'self'; style-src 'self';" in page.lines
    assert page.lines.startswith(b"\r\nContent-Security-Policy: default-src 'none'")


def test_on_the_services_host_links_stay_below_its_mount() -> None:
    pages = edge_pages(environments_domain="envs.example", base_url="/lab1/")

    page = pages(GONE, asked(b"lab.example", is_on_own_host=False))

    assert b'href="/lab1/launch/lab?new=1"' in page.body
