"""GitHub's gists: ``https://gist.github.com/[<user>/]<id>[/<revision>]``."""

import re

from spawner.builder.addresses import RepositoryAddress
from spawner.builder.model import Source
from spawner.builder.providers.base import make_source, without_git
from spawner.errors import BadSource

_ID = re.compile(r"[0-9a-f]{5,40}")
_REVISION = re.compile(r"[0-9a-f]{40}")


class Gist:
    """Gists, each a repository of its own under an id."""

    name = "gist"

    def read(self, address: RepositoryAddress, ref: str) -> Source | None:
        """Say what an address means; None if it is no gist's."""
        if address.authority != "gist.github.com":
            return None
        segments = address.segments
        if not _ID.fullmatch(without_git(segments[0])):
            segments = segments[1:]  # whose it is
        gist = without_git(segments[0]) if segments else ""
        revision = segments[1] if len(segments) > 1 else ""
        is_one = _ID.fullmatch(gist) and (not revision or _REVISION.fullmatch(revision))
        if not is_one or len(segments) > 2:
            raise BadSource("The address is no gist's; write https://gist.github.com/user/id.")
        return make_source(
            self.name,
            url=f"https://gist.github.com/{gist}.git",
            authority=address.host,
            path=f"gist/{gist}",
            ref=ref or revision,
            page=f"https://gist.github.com/{gist}",
        )
