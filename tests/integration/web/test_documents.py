"""The interface as it is shown: as an OpenAPI document, and as a page."""

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.integration.web.conftest import Open, Site


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def document_of(site: Site, mount: str = "/") -> Any:
    response = await site.get(f"{mount}api/openapi.json")
    assert (response.status, response.content_type) == (200, "application/json")
    return await response.json()


async def test_the_document_names_where_it_is_true(open_site: Open) -> None:
    async with open_site(base_url="/lab1/") as site:
        document = await document_of(site, "/lab1/")

        assert document["openapi"] == "3.1.0"
        assert document["servers"] == [{"url": "/lab1"}]


async def test_the_document_has_what_people_build_on(site: Site) -> None:
    paths = (await document_of(site))["paths"]

    wanted = {"/builds", "/builds/{name}", "/builds/{name}/logs", "/api/spawn", "/healthz"}
    wanted |= {"/api/environments", "/api/catalogue", "/api/status", "/api/cull", "/api/drain"}
    assert wanted <= set(paths)


async def test_no_failure_of_ours_is_documented_and_each_that_is_has_type_and_error(
    site: Site,
) -> None:
    document = await document_of(site)

    for methods in document["paths"].values():
        for described in methods.values():
            assert "500" not in described["responses"]
            for status, response in described["responses"].items():
                if status != "200":
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Error"}
    assert document["components"]["schemas"]["Error"]["required"] == ["type", "error"]


async def test_every_reference_leads_somewhere_and_every_name_is_one(site: Site) -> None:
    document = await document_of(site)
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    references = re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(document))

    assert set(references) <= set(document["components"]["schemas"])
    assert references
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("opened", "needs"),
    [(["read", "launch"], {"start_build"}), ([], {"start_build", "show_build", "spawn"})],
)
async def test_what_needs_a_key_is_what_is_not_open(
    open_site: Open, opened: list[str], needs: set[str]
) -> None:
    async with open_site(api={"open": opened}) as site:
        paths = (await document_of(site))["paths"]

        asked = {"/builds": "post", "/builds/{name}": "get", "/api/spawn": "post"}
        found = {
            described["operationId"].partition("_")[2]
            for path, method in asked.items()
            if {} not in (described := paths[path][method])["security"]
        }
        assert found == needs


async def test_the_page_shows_every_call_of_the_document(site: Site) -> None:
    document = await document_of(site)
    response = await site.visit("/api/docs")
    page = Page(await response.text())

    assert (response.status, response.content_type) == (200, "text/html")
    anchors = [attrs["id"] for tag, attrs in page.tags if tag == "details"]
    described = [one for path in document["paths"].values() for one in path.values()]
    assert set(anchors) == {one["operationId"] for one in described}
    assert len(set(anchors)) == len(anchors)
    for path in document["paths"]:
        assert path in page.text
    assert "`" not in page.text


async def test_the_page_takes_nothing_from_elsewhere_and_runs_nothing(site: Site) -> None:
    page = Page(await (await site.visit("/api/docs")).text())

    assert not [tag for tag, _ in page.tags if tag in ("script", "style", "iframe")]
    for _, attrs in page.tags:
        assert not [name for name in attrs if name == "style" or name.startswith("on")]
        for name in ("src", "href"):
            assert (attrs.get(name) or "/").startswith(("/", "#"))
    for tag, attrs in page.tags:
        if tag == "link":
            assert (await site.get(str(attrs["href"]))).status == 200


async def test_the_badge_is_a_picture_that_may_be_kept(site: Site) -> None:
    response = await site.get("/badge.svg")

    root = ET.fromstring(await response.text())
    assert response.content_type == "image/svg+xml"
    assert response.headers["Cache-Control"].startswith("public, max-age=")
    assert "".join(root.itertext()).split() == ["launch:", "notebook", "launch", "notebook"]
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
