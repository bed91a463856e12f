"""The Binder API as a client of it speaks."""

from dataclasses import dataclass
from typing import Any

from tests.integration.web.conftest import API_KEY, Site
from tests.waiting import eventually

#: As Binder's own clients send it.
KEY = {"Authorization": API_KEY}


@dataclass(frozen=True)
class Binder:
    """A client of one site."""

    site: Site

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: bool = True, **headers: str
    ) -> tuple[int, Any]:
        """Ask, and give the status and what came as JSON."""
        response = await self.site.client.request(
            method,
            path,
            json=body,
            headers={**(KEY if key else {}), **headers},
            allow_redirects=False,
        )
        return response.status, await response.json()

    async def launched(self, path: str, body: Any = None) -> Any:
        """Launch, and give the application when it has its location."""
        status, launched = await self.ask("POST", path, body, key=False)
        assert status == 200, launched

        async def is_deployed() -> Any:
            _, shown = await self.ask(
                "GET", f"/applications/{launched['template-name']}/{launched['id']}", key=False
            )
            return shown if shown["status"] == "deployed" else None

        return {**launched, **await eventually(is_deployed)}
