"""Sites on one Redis that know of each other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.builds.site import Site
from tests.redis_server import RedisServer

MakeSite = Callable[..., Site]


@pytest.fixture
def site(redis_server: RedisServer, instance: str, tmp_path: Path) -> MakeSite:
    """Make a site; all of one test share an instance."""

    def make(**how: Any) -> Site:
        return Site(redis_server.url, instance, tmp_path / "scratch", **how)

    return make
