"""Ask an environment whether it answers yet."""

import asyncio
from datetime import timedelta
from http import HTTPStatus

import aiohttp

from spawner.model import Address, Environment

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
PROBE_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 1.0


async def answers(
    session: aiohttp.ClientSession, address: Address, path: str, *, token: str
) -> bool:
    """Probe once: True for any status below 500, False for everything else."""
    try:
        async with session.get(
            f"http://{address}{path}",
            headers={"Authorization": f"token {token}"} if token else {},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S),
        ) as response:
            return response.status < HTTPStatus.INTERNAL_SERVER_ERROR
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def wait_until_ready(
    session: aiohttp.ClientSession, environment: Environment, path: str, *, token: str
) -> None:
    """Probe ever more patiently until it answers; the caller sets the deadline."""
    assert environment.address is not None
    pause_s = FIRST_PAUSE_S
    while not await answers(
        session, environment.address, environment.base_path + path, token=token
    ):
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)


async def connects(address: Address, within: timedelta = timedelta(seconds=1)) -> bool:
    """Say whether something listens there at this instant."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
