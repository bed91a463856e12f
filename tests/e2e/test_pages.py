"""The pages in a real browser: waiting, going on, starting anew; no rule of the CSP is broken."""

import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.command import Served, serving
from tests.components import require

#: Answers after a moment, so that a visitor has to wait.
SLOW = """
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"here: " + self.path.encode())
time.sleep(1)
address = (os.environ["TMPENV_IP"], int(os.environ["TMPENV_PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
CONFIG = f"""
port = 0
backend = "process"
on_exit = "stop"
[templates.slow]
title = "The Slow One"
command = [{json.dumps(sys.executable)}, "-c", {json.dumps(SLOW)}]
stop_grace = "100ms"
[pools.slow]
size = 1
spare = 0
"""
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


MOUNTS = pytest.mark.parametrize("mount", ["/", "/lab1/"])


@pytest.fixture
def mount() -> str:
    """Under which path all is found; a test may say another."""
    return "/"


@pytest.fixture
def served(directory: Path, mount: str) -> Iterator[Served]:
    require("chromium", "redis-server")
    (directory / "tmpenv.toml").write_text(CONFIG)
    with serving(directory, "--base-url", mount) as served:
        yield served


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    require("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=list(ARGUMENTS),
        )
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 320, "height": 640})
    page = await context.new_page()
    broken: list[str] = []
    page.on("console", lambda message: broken.append(message.text))
    page.on("pageerror", lambda error: broken.append(str(error)))
    yield page
    await context.close()
    # The browser itself writes a line for a page that answers 410 or 429.
    assert [line for line in broken if "the server responded with a status of" not in line] == []


@MOUNTS
async def test_a_click_waits_and_goes_on_by_itself(served: Served, page: Page, mount: str) -> None:
    await page.goto(served.url)
    await page.get_by_role("link", name="Launch The Slow One").click()

    await expect(page.get_by_role("heading", name="Starting The Slow One")).to_be_visible()
    await expect(page.get_by_role("status")).to_contain_text("You are next.")

    await page.wait_for_url("**/user/*/lab")
    await expect(page.locator("body")).to_contain_text(f"here: {mount}user/")


async def test_without_scripts_a_visitor_goes_on_too(served: Served, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()

    await page.goto(f"{served.url}/launch/slow?urlpath=x/y")

    await page.wait_for_url("**/user/*/x/y")
    await context.close()


@MOUNTS
async def test_the_numbers_are_kept_current(served: Served, page: Page, mount: str) -> None:
    async with page.expect_response(lambda answer: answer.url.endswith("api/stats")) as asked:
        await page.goto(f"{served.url}/info")

    answer = await asked.value
    assert answer.status == 200
    assert answer.url == f"{served.url}/api/stats"
    assert served.url.endswith(mount.rstrip("/"))


@MOUNTS
async def test_a_stale_tab_says_why_and_leads_to_the_same_place_in_a_new_one(
    served: Served, page: Page
) -> None:
    await page.goto(f"{served.url}/launch/slow?urlpath=deep/a%20b.ipynb")
    await page.wait_for_url("**/user/*/deep/*")
    first = page.url
    served.call("DELETE", f"/api/environments/{first.split('/user/')[1].split('/')[0]}")

    await page.goto(first)
    await expect(page.get_by_role("heading", name="This environment has ended")).to_be_visible()
    await page.get_by_role("link", name="Start a new one").click()

    await page.wait_for_url("**/user/*/deep/a%20b.ipynb")
    assert page.url != first


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_a_narrow_screen(served: Served, page: Page, scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")

    for path in ("/", "/info", "/nothing", "/wait/none?template=slow"):
        await page.goto(served.url + path)

        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(23, 21, 19)") is (scheme == "dark")
