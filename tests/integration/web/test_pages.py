"""The start page, errors as pages, and what every answer carries."""

import re

import pytest

from spawner.model import Pool, Template
from spawner.service import Service
from tests.integration.web.conftest import Open, Site
from web.static_files import static_url


async def test_the_start_page_shows_what_can_be_launched(site: Site) -> None:
    page = await (await site.visit("/")).text()

    assert "The Lab" in page
    assert 'href="/launch/lab"' in page
    assert "1 ready now" in page
    assert "This backend runs nothing" in page


async def test_what_is_not_public_is_not_shown_but_can_be_launched(open_site: Open) -> None:
    hidden = Template(name="hidden", title="Secret", public=False)
    async with open_site(templates=(hidden,)) as site:
        await site.has_spares(1, "hidden")

        assert "Secret" not in await (await site.visit("/")).text()
        assert (await site.visit("/launch/hidden")).status == 302


async def test_what_a_template_says_is_escaped(open_site: Open) -> None:
    bad = Template(name="lab", title="<script>x</script>", description='"><img src=x>')
    async with open_site(templates=(bad,), pool=Pool(size=0)) as site:
        page = await (await site.visit("/")).text()

        assert "<script>x" not in page
        assert "<img src=x" not in page


async def test_pages_load_nothing_from_elsewhere(site: Site) -> None:
    for path in ("/", "/info", "/nothing"):
        page = await (await site.visit(path)).text()

        assert not re.findall(r'(?:src|href)="(?![/#])', page)
        assert "<style" not in page
        assert "style=" not in page
        assert not re.findall(r"<script(?![^>]*\ssrc=)", page)


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/stats", "/healthz", "/robots.txt"])
async def test_every_answer_carries_the_headers_that_protect(site: Site, path: str) -> None:
    headers = (await site.visit(path)).headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Request-Id"]
    assert "Server" not in headers


async def test_pages_can_be_framed_by_those_that_are_named(open_site: Open) -> None:
    async with open_site(pages={"frame_ancestors": "https://a.example,self"}) as site:
        policy = (await site.visit("/")).headers["Content-Security-Policy"]

        assert policy.endswith("frame-ancestors https://a.example 'self'")


async def test_a_static_file_may_be_kept_for_good_under_its_own_address(site: Site) -> None:
    named = await site.get(static_url("tmpenv.css"))
    bare = await site.get("/static/tmpenv.css")

    assert "immutable" in named.headers["Cache-Control"]
    assert "immutable" not in bare.headers["Cache-Control"]
    assert (await site.get("/static/..%2fpages.py")).status == 404


async def test_crawlers_are_kept_from_launching(site: Site) -> None:
    text = await (await site.get("/robots.txt")).text()

    assert "Disallow: /launch\n" in text


async def test_an_unexpected_failure_tells_nothing_but_its_number(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_service: Service) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(Service, "pool_status", fail)

    data = await site.get("/api/stats")
    page = await site.visit("/info")

    body = await data.json()
    assert (data.status, body["type"]) == (500, "internal")
    assert body["request_id"] == data.headers["X-Request-Id"]
    assert page.status == 500
    assert "a secret detail" not in await page.text() + str(body)
    assert "a secret detail" in caplog.text


async def test_the_numbers_are_a_page_too(site: Site) -> None:
    page = await (await site.visit("/info")).text()

    assert 'data-template="lab"' in page
