"""Credentials for private repositories: which are for whom, and how nobody else sees them.

They are handed to git by a credential helper that reads them from the environment of
git alone, and answers for one origin. They stand in no address, argument, file or log.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from spawner.builder.settings import Credential

MASK = "********"
_USER = "TMPENV_GIT_USERNAME"
_PASSWORD = "TMPENV_GIT_PASSWORD"  # noqa: S105  # the name of a variable
#: Asked by git with "get"; "store" and "erase" are not for it.
_HELPER = (
    f'!answer() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    f'"${_USER}" "${_PASSWORD}"; }}; answer'
)


@dataclass(frozen=True, slots=True)
class Login:
    """A user's name and password for one origin."""

    origin: str
    username: str
    password: str

    def configuration(self) -> dict[str, str]:
        """Give the settings of git under which it asks for them."""
        return {f"credential.{self.origin}.helper": _HELPER}

    def variables(self) -> dict[str, str]:
        """Give the variables of git's environment from which the helper answers."""
        return {_USER: self.username, _PASSWORD: self.password}

    @property
    def header(self) -> str:
        """Give the value of ``Authorization`` (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}"


class Credentials:
    """Every credential that the operator set, by the host or the path that it is for."""

    def __init__(self, credentials: Mapping[str, Credential]) -> None:
        """Read them, also those that are kept in files.

        Raises:
            OSError: A file cannot be read.
        """
        self._known = {
            place.strip("/").lower(): (one.username, one.secret())
            for place, one in credentials.items()
        }
        self._forms = sorted(self._all_forms(), key=len, reverse=True)

    def login(self, url: str) -> Login | None:
        """Give what a repository is asked with; the longest path that fits decides."""
        parts = urlsplit(url)
        place = f"{parts.netloc}{parts.path}".lower()
        fitting = [
            known
            for known in self._known
            if place == known or place.startswith((f"{known}/", f"{known}.git"))
        ]
        if not fitting:
            return None
        username, password = self._known[max(fitting, key=len)]
        return Login(f"{parts.scheme}://{parts.netloc}", username, password)

    def hide(self, text: str) -> str:
        """Mask every password in a text, in each form that it is written in."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def _all_forms(self) -> set[str]:
        forms: set[str] = set()
        for username, password in self._known.values():
            forms |= {password, quote(password, safe=""), quote(password)}
            forms.add(base64.b64encode(f"{username}:{password}".encode()).decode())
        return {form for form in forms if form}
