"""GitLab: ``https://gitlab.com/<group>/…/<repo>[/-/tree/<ref>]``, there and elsewhere."""

from collections.abc import Collection

from spawner.builder.addresses import RepositoryAddress
from spawner.builder.model import Source
from spawner.builder.providers.base import make_source, split_ref, without_git
from spawner.errors import BadSource

_EXAMPLE = "https://gitlab.com/group/repo or https://gitlab.com/group/repo/-/tree/branch"


class GitLab:
    """Repositories of gitlab.com and of other hosts that run GitLab."""

    name = "gitlab"

    def __init__(self, hosts: Collection[str] = ()) -> None:
        """Know these hosts beside gitlab.com."""
        self._hosts = {"gitlab.com", *(host.lower() for host in hosts)}

    def read(self, address: RepositoryAddress, ref: str) -> Source | None:
        """Say what an address means; None if it is not GitLab's."""
        if address.authority not in self._hosts:
            return None
        path, rest = address.segments, tuple[str, ...]()
        if "-" in path:  # what GitLab puts between a repository and what is in it
            path, rest = path[: path.index("-")], path[path.index("-") + 1 :]
        if len(path) < 2:
            raise BadSource(f"The address names no repository; write {_EXAMPLE}.")
        *groups, repository = path
        ref = ref or split_ref(rest, ("tree", "commit"), _EXAMPLE)
        whole = "/".join((*groups, without_git(repository)))
        page = f"{address.scheme}://{address.authority}/{whole}"
        return make_source(
            self.name,
            url=f"{page}.git",
            authority=address.authority,
            path=whole,
            ref=ref,
            page=f"{page}/-/tree/{ref}" if ref else page,
            folds_case=True,
        )
