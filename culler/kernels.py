"""Ask an environment what its kernels do.

The one rule: no answer means unknown, and unknown is not idle.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import aiohttp

from spawner.model import Environment

TIMEOUT_S = 5.0
JSON = "application/json"


class KernelsUnknown(Exception):
    """It gave no answer from which something could be concluded."""


async def ask_kernels(
    session: aiohttp.ClientSession, environment: Environment, *, token: str
) -> Sequence[Mapping[str, object]]:
    """List its kernels, without that counting as use; none if it is no Jupyter server.

    Raises:
        KernelsUnknown: No answer came, or one that tells nothing.
    """
    url = f"http://{environment.address}{environment.base_path}api/kernels?no_track_activity=1"
    try:
        async with session.get(
            url,
            headers={"Authorization": f"token {token}"},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        ) as response:
            if response.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
                raise KernelsUnknown
            if response.status == HTTPStatus.NOT_FOUND or response.content_type != JSON:
                return []
            kernels = await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise KernelsUnknown from error
    if not isinstance(kernels, list) or not all(isinstance(one, dict) for one in kernels):
        raise KernelsUnknown
    return kernels
