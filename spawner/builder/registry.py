"""Ask a registry whether it has an image, by the distribution API of the OCI.

The rule: only 200 and 404 say whether an image is there. A registry that does
not let us in has answered, and somebody must change something; anything else
means that nothing is known.
"""

import base64
import re
import ssl
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from spawner.builder.logins import Login, find_login, registry_host
from spawner.builder.settings import BuildSettings
from spawner.errors import BackendUnavailable, BuildFailed

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Registry:
    """The registry of the settings."""

    def __init__(self, settings: BuildSettings) -> None:
        self._settings = settings
        self._host = registry_host(f"{settings.registry}/")
        context = ssl.create_default_context()
        if settings.ca_bundle:
            context.load_verify_locations(settings.ca_bundle)
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=context), trust_env=True
        )

    async def close(self) -> None:
        """Give back the connections."""
        await self._session.close()

    async def has(self, image: str) -> bool:
        """Say whether the registry has an image.

        Raises:
            BuildFailed: It does not let us ask.
            BackendUnavailable: It gave no answer.
        """
        url = self._manifest(image)
        status, challenge = await self._head(url, {})
        if status == HTTPStatus.UNAUTHORIZED:
            status, _ = await self._head(url, await self._answer(challenge))
        if status in _REFUSED:
            raise self._refused()
        if status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise BackendUnavailable(f"The registry {self._host} answered {status}.")
        return status == HTTPStatus.OK

    def _manifest(self, image: str) -> str:
        scheme = "http" if self._settings.registry_insecure else "https"
        host = "registry-1.docker.io" if self._host == "docker.io" else self._host
        name, _, tag = image.removeprefix(f"{self._host}/").rpartition(":")
        return f"{scheme}://{host}/v2/{name}/manifests/{tag}"

    async def _head(self, url: str, headers: Mapping[str, str]) -> tuple[int, str]:
        """Ask for a manifest; give the status, and what is wanted of us first."""
        asked = {"Accept": _MANIFESTS, **headers}
        try:
            async with self._session.head(url, headers=asked, allow_redirects=True) as response:
                return response.status, response.headers.get("WWW-Authenticate", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unanswered(error) from error

    async def _answer(self, challenge: str) -> dict[str, str]:
        """Give the header that a challenge asks for (RFC 7235 §4.1)."""
        login = await find_login(self._settings)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "bearer":
            token = await self._token(dict(_PARAMETER.findall(rest)), login)
            return {"Authorization": f"Bearer {token}"}
        if login is None:
            raise self._refused()
        return {"Authorization": _basic(login)}

    async def _token(self, wanted: Mapping[str, str], login: Login | None) -> str:
        """Fetch a token from where the registry says."""
        query = {key: wanted[key] for key in ("service", "scope") if key in wanted}
        headers = {"Authorization": _basic(login)} if login else {}
        try:
            async with self._session.get(
                wanted.get("realm", ""), params=query, headers=headers
            ) as response:
                if response.status in _REFUSED:
                    raise self._refused()
                response.raise_for_status()
                given = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unanswered(error) from error
        return str(given.get("token") or given.get("access_token") or "")

    def _refused(self) -> BuildFailed:
        return BuildFailed(
            f"The registry {self._host} does not let us in: set registry_username and "
            "registry_password of [build], or log in with docker."
        )

    def _unanswered(self, error: Exception) -> BackendUnavailable:
        reason = str(error) or type(error).__name__
        return BackendUnavailable(f"The registry {self._host} gave no answer: {reason}")


def _basic(login: Login) -> str:
    words = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(words).decode()}"
