"""What a provider is, and what several of them share.

Others bring their own as an entry point of the group ``tmpenv.providers``: a class
whose objects are :class:`Provider`.
"""

from typing import Protocol

from spawner.builder.addresses import RepositoryAddress, check_ref
from spawner.builder.model import Source
from spawner.builder.naming import name_of
from spawner.errors import BadSource


class Provider(Protocol):
    """Knows the addresses of one kind of host."""

    @property
    def name(self) -> str:
        """Give its word for itself."""

    def read(self, address: RepositoryAddress, ref: str) -> Source | None:
        """Say what an address means; None if it is not this provider's.

        ``ref`` goes before one that stands in the address; it is empty for none.

        Raises:
            BadSource: It is this provider's, and no repository.
        """


def make_source(
    provider: str,
    *,
    url: str,
    authority: str,
    path: str,
    ref: str,
    page: str = "",
    folds_case: bool = False,
) -> Source:
    """Make a source of what tells it apart.

    ``path`` is the repository's below its host. Where ``folds_case``, its case makes no
    difference to the host.

    Raises:
        BadSource: The ref is none.
    """
    ref = check_ref(ref)
    identity = (authority, path.lower() if folds_case else path, ref)
    display = f"{path}/tree/{ref}" if ref else path
    return Source(
        provider=provider,
        url=url,
        ref=ref,
        display_name=display,
        name=name_of(identity, f"{path}-{ref}" if ref else path),
        page=page,
    )


def without_git(segment: str) -> str:
    """Give a repository's name without the ending that git does not need."""
    return segment.removesuffix(".git") or segment


def split_ref(rest: tuple[str, ...], words: tuple[str, ...], example: str) -> str:
    """Give the ref that stands behind one of ``words``; empty if nothing stands there.

    Raises:
        BadSource: Something else stands there.
    """
    if not rest:
        return ""
    if rest[0] not in words or len(rest) < 2:
        raise BadSource(f"The address leads into a repository; write {example}.")
    return "/".join(rest[1:])
