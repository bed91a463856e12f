"""Read the address of a repository as people write it: pure.

The one rule: an address is never a place for credentials. Whatever is refused is
refused here before anybody is asked, in words that say what to write instead.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from spawner.errors import BadSource

_LONGEST = 2048
#: As ssh is told of a repository: it says where as well as https does.
_SCP = re.compile(r"\w+@(?P<host>[\w.-]+\.[a-z]+):(?P<path>[\w./~-]+)", re.IGNORECASE)
_BARE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?/\S+", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_SEGMENT = re.compile(r"[\w.~%+@ !,=()-]+")
_REF = re.compile(
    r"(?![-/.])(?!.*(?:\.\.|@\{|//|/\.|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])"
)
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """Where a repository is said to lie."""

    scheme: str
    #: In lower case, without "www.".
    host: str
    #: None for the scheme's usual one.
    port: int | None
    segments: tuple[str, ...]
    #: The host as it was written, in lower case: "www." may matter to who asks it.
    written_host: str
    has_query: bool = False

    @property
    def origin(self) -> str:
        """Give scheme, host and port, with the host as it was written."""
        return f"{self.scheme}://{self.written_host}" + (f":{self.port}" if self.port else "")

    @property
    def authority(self) -> str:
        """Give what names the host in an identity: one spelling for each."""
        return self.host + (f":{self.port}" if self.port else "")


def parse(text: str) -> RepositoryAddress:
    """Read an address.

    Raises:
        BadSource: It is none; the text says what to write.
    """
    text = _unquoted(text)
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise BadSource("The repository is no address; write one like https://host/org/repo.")
    if "://" not in text:
        found = _SCP.fullmatch(text)
        if not (found or _BARE.fullmatch(text)):
            raise BadSource("The repository is no address; write one like https://host/org/repo.")
        text = f"https://{found['host']}/{found['path']}" if found else f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadSource("The repository is no address; its host or port is malformed.") from None
    if parts.scheme not in _PORTS:
        raise BadSource("Repositories are fetched by https alone; write https://host/org/repo.")
    if "@" in parts.netloc:
        raise BadSource(
            "The address has credentials in it, which would be seen by many; write it without "
            "them. The operator sets credentials by host ([build.credentials])."
        )
    host = _host(parts.hostname or "")
    return RepositoryAddress(
        parts.scheme,
        host.removeprefix("www."),
        None if port == _PORTS[parts.scheme] else port,
        _segments(parts.path),
        host,
        bool(parts.query),
    )


def check_ref(ref: str) -> str:
    """Give the name of a branch, tag or commit as it is, without spaces around it.

    Raises:
        BadSource: Git has no such names.
    """
    ref = ref.strip()
    if ref and (len(ref) > 255 or not _REF.fullmatch(ref)):
        raise BadSource("The ref is no name of a branch, tag or commit.")
    return ref


def _unquoted(text: str) -> str:
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def _host(written: str) -> str:
    host = written.lower().removesuffix(".")
    if ":" in host:  # an IPv6 address; urlsplit has taken its brackets
        return f"[{host}]"
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        host = ""
    if not host or len(host) > 253 or not _HOST.fullmatch(host):
        raise BadSource("The repository's host is no name of a host.")
    return host


def _segments(path: str) -> tuple[str, ...]:
    segments = tuple(segment for segment in path.split("/") if segment)
    if not segments:
        raise BadSource("The address names a host and no repository; write https://host/org/repo.")
    for segment in segments:
        is_dots = segment.lower().replace("%2e", ".") in (".", "..")
        is_flag = segment.startswith("-") and segment != "-"  # which GitLab has in its paths
        if is_dots or is_flag or not _SEGMENT.fullmatch(segment):
            raise BadSource("The address has a path that no repository has.")
    return segments
