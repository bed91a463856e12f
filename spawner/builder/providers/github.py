"""GitHub: ``https://github.com/<org>/<repo>[/tree/<ref>]``."""

import re

from spawner.builder.addresses import RepositoryAddress
from spawner.builder.model import Source
from spawner.builder.providers.base import make_source, split_ref, without_git
from spawner.errors import BadSource

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_EXAMPLE = "https://github.com/org/repo or https://github.com/org/repo/tree/branch"


class GitHub:
    """Repositories of github.com, where the case of letters makes no difference."""

    name = "github"

    def read(self, address: RepositoryAddress, ref: str) -> Source | None:
        """Say what an address means; None if it is not GitHub's."""
        if address.authority != "github.com":
            return None
        if len(address.segments) < 2:
            raise BadSource(f"The address names no repository; write {_EXAMPLE}.")
        org, repository = address.segments[0], without_git(address.segments[1])
        if not (_NAME.fullmatch(org) and _NAME.fullmatch(repository)):
            raise BadSource(f"GitHub has no repository of such a name; write {_EXAMPLE}.")
        ref = ref or split_ref(address.segments[2:], ("tree", "commit"), _EXAMPLE)
        page = f"https://github.com/{org}/{repository}"
        return make_source(
            self.name,
            url=f"{page}.git",
            authority=address.host,
            path=f"{org}/{repository}",
            ref=ref,
            page=f"{page}/tree/{ref}" if ref else page,
            folds_case=True,
        )
