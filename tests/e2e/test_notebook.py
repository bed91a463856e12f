"""A click puts a visitor inside a running notebook: real JupyterLab, real Chromium."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.components import JUPYTER, require
from tests.e2e.browser import LAB_TIMEOUT_MS, is_in_lab, open_browser, run_cell
from tests.serving import PERL, TINY_SERVER, Serving
from tests.waiting import eventually

PROCESS = """
backend = "process"
on_exit = "stop"
[proxy]
drain_timeout_s = 0.5
[pools.jupyter]
size = 3
spare = {spare}
"""
DOCKER = """
backend = "docker"
on_exit = "stop"
[proxy]
drain_timeout_s = 0.5
[templates.jupyter]
title = "JupyterLab"
image = "{image}"
[pools.jupyter]
# No refill, whose new interface would disturb the browser.
size = 1
"""
TINY = """
backend = "process"
on_exit = "stop"
[proxy]
drain_timeout_s = 0.5
[templates.jupyter]
title = "The Lab"
description = "A notebook with all that the course needs, ready to be changed and broken."
command = ["{perl}", "{tiny}"]
urlpath = "files"
stop_grace = "0s"
[pools.jupyter]
size = 2
spare = {spare}
"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> Page:
    return await browser.new_page()


async def click_launch(page: Page, server: Serving) -> None:
    await page.goto(server.url)
    await page.get_by_role("link", name="Launch").click()


async def test_a_click_leads_into_jupyterlab_where_a_cell_runs(directory: Path, page: Page) -> None:
    require("jupyterlab")
    async with Serving(directory, PROCESS.format(spare=1)) as server:
        await server.until_spares(1, "jupyter")

        await click_launch(page, server)
        await is_in_lab(page)

        assert await run_cell(page, "6 * 7") == "42"


async def test_a_click_leads_into_jupyterlab_under_a_path_of_the_service(
    directory: Path, page: Page
) -> None:
    require("jupyterlab")
    async with Serving(directory, PROCESS.format(spare=1), base_url="/a/lab.1/") as server:
        await server.until_spares(1, "jupyter")

        await page.goto(f"http://127.0.0.1:{server.port}/")
        await page.get_by_role("link", name="Launch").click()
        environment = await is_in_lab(page)

        assert page.url.startswith(f"{server.url}/user/{environment}/lab")
        assert await run_cell(page, "6 * 7") == "42"


@pytest.mark.parametrize("mount", ["/", "/a/lab.1/"])
async def test_on_a_host_of_its_own_a_cell_runs_and_the_end_leads_back(
    directory: Path, page: Page, mount: str
) -> None:
    """Chromium resolves all below localhost to this machine."""
    require("jupyterlab")
    config = 'environments_domain = "localhost"' + PROCESS.format(spare=1)
    async with Serving(directory, config, base_url=mount) as server:
        await server.until_spares(1, "jupyter")

        await click_launch(page, server)
        environment_id = await is_in_lab(page)
        own = f"http://{environment_id}.localhost:{server.port}"
        base = f"{own}{mount}user/{environment_id}/"
        assert page.url.startswith(f"{base}lab")
        assert await run_cell(page, "6 * 7") == "42"

        # By path a page leads there too, and so does the host alone.
        for address in (f"{server.url}/user/{environment_id}/tree", f"{own}/"):
            await page.goto(address)
            assert page.url.startswith(base)

        await server.end(environment_id)
        await eventually(lambda: is_gone(server, environment_id))
        await page.goto(f"{base}lab")
        again = page.get_by_role("link", name="Start a new one")
        assert await again.evaluate("it => getComputedStyle(it).textDecorationLine") == "none"
        await expect(again).to_have_attribute("href", re.compile(r"&urlpath=lab$"))
        await again.click()
        assert await is_in_lab(page) != environment_id


async def test_a_click_leads_into_a_container_where_a_cell_runs(
    directory: Path, docker_instance: str, page: Page
) -> None:
    require("jupyter-image")
    config = DOCKER.format(image=JUPYTER)
    async with Serving(directory, config, instance=docker_instance) as server:
        await server.until_spares(1, "jupyter")

        await click_launch(page, server)
        await is_in_lab(page)

        printed = await run_cell(page, "import os; print(6 * 7, os.getuid())")
        assert printed == "42 1000"


async def test_without_a_spare_the_waiting_page_goes_on_by_itself(
    directory: Path, page: Page
) -> None:
    require("jupyterlab")
    async with Serving(directory, PROCESS.format(spare=0)) as server:
        await click_launch(page, server)
        assert "/wait/" in page.url
        await page.get_by_role("heading", name="Starting JupyterLab").wait_for()

        await is_in_lab(page)


async def test_a_returning_visitor_comes_back_unless_they_ask_for_a_new_one(
    directory: Path, browser: Browser
) -> None:
    async with Serving(directory, tiny(spare=2)) as server:
        await server.until_spares(2, "jupyter")
        visitor = await browser.new_context()

        first = await launch(visitor, server)
        again = await launch(visitor, server)
        other = await launch(visitor, server, "?new=1")
        last = await launch(visitor, server)

        assert first == again != other == last


async def test_a_full_service_says_so_and_goes_on_when_there_is_room(
    directory: Path, browser: Browser
) -> None:
    async with Serving(directory, tiny(spare=2)) as server:
        await server.until_spares(2, "jupyter")
        taken, _ = [(await server.spawn("jupyter"))[1]["id"] for _ in range(2)]
        page = await browser.new_page()

        answer = await page.goto(f"{server.url}/launch/jupyter")
        assert answer is not None
        assert answer.status == 429
        await page.get_by_role("heading", name="Every seat is taken").wait_for()
        await server.end(taken)

        await page.wait_for_url("**/user/*/files", timeout=LAB_TIMEOUT_MS)


async def test_one_that_is_its_visitors_alone_opens_in_their_browser_and_in_no_other(
    directory: Path, browser: Browser
) -> None:
    config = tiny(spare=2).replace("command", 'auth = "cookie"\ncommand')
    async with Serving(directory, 'environments_domain = "localhost"' + config) as server:
        await server.until_spares(2, "jupyter")
        owner, other = await browser.new_context(), await browser.new_context()
        page, stranger = await owner.new_page(), await other.new_page()

        await page.goto(f"{server.url}/launch/jupyter")
        link = page.url
        assert "?" not in link
        seen = [await (await owner.new_page()).goto(link), await stranger.goto(link)]
        assert [answer and answer.status for answer in seen] == [200, 403]

        await stranger.get_by_role("link", name="To one of your own").click()
        assert stranger.url.endswith("/files")
        assert stranger.url != link
        cookies = await owner.cookies(link)
        assert [one["name"] for one in cookies] == ["tmpenv-_session"]
        assert cookies[0]["httpOnly"]


async def is_gone(server: Serving, environment_id: str) -> bool:
    return await server.visit(environment_id) == 410


async def launch(visitor: BrowserContext, server: Serving, query: str = "") -> str:
    """Follow the launch link in a tab of its own; give the environment it leads to."""
    page = await visitor.new_page()
    await page.goto(f"{server.url}/launch/jupyter{query}")
    await page.wait_for_url("**/user/*/files*", timeout=LAB_TIMEOUT_MS)
    environment_id = page.url.split("/user/")[1].split("/")[0]
    await page.close()
    return environment_id


def tiny(*, spare: int) -> str:
    """Configure the tiny server, which is up at once."""
    require("perl")
    return TINY.format(perl=PERL, tiny=TINY_SERVER, spare=spare)
