"""A real Chromium without a screen, and what a visitor does in JupyterLab."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Locator, Page, async_playwright

from tests.components import require

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
#: Lab's first paint on a busy machine.
LAB_TIMEOUT_MS = 45_000
_TRIES = 3


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start a browser, and end it afterwards."""
    require("chromium")
    executable = next(found for name in _NAMES if (found := shutil.which(name)))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def is_in_lab(page: Page) -> str:
    """Wait until a page shows JupyterLab; give the id of its environment."""
    await page.wait_for_url("**/user/*/lab*", timeout=LAB_TIMEOUT_MS)
    for _ in range(_TRIES):
        await launcher(page).wait_for(timeout=LAB_TIMEOUT_MS)
        await page.wait_for_load_state("networkidle")
        if not await page.locator("dialog.jp-Dialog").count():
            break
        # Chromium cuts off requests when Docker makes an interface beside it
        # (ERR_NETWORK_CHANGED), and Lab then says that a part of it is missing.
        await page.reload()
    return page.url.split("/user/")[1].split("/")[0]


def launcher(page: Page) -> Locator:
    """Find the card of Lab's launcher that opens a Python notebook."""
    return page.locator(".jp-LauncherCard[data-category='Notebook']").first


async def run_cell(page: Page, code: str) -> str:
    """Open a notebook, run one cell in it, and give its output."""
    await launcher(page).click()
    # Lab drops what is to run before its kernel is connected.
    await page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=LAB_TIMEOUT_MS)
    cell = page.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    await cell.fill(code)
    await cell.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output").first
    await output.wait_for(timeout=LAB_TIMEOUT_MS)
    return (await output.inner_text()).strip()
