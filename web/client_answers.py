"""What a running tmpenv answers, as :mod:`web.client` gives it.

Each keeps the whole ``document`` that came, so that whatever a newer server tells is there
for who wants it.
"""

from dataclasses import dataclass
from typing import Any, Self

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A build of an image from a repository."""

    name: str
    #: "running", "completed" or "failed".
    status: str
    #: How far it is: "queued", "fetching", "building", …, "finished".
    phase: str
    error: str
    document: Document

    @classmethod
    def of(cls, document: Document) -> Self:
        """Read an answer."""
        return cls(
            name=document["name"],
            status=document["status"],
            phase=document["phase"],
            error=document.get("error") or "",
            document=document,
        )

    @property
    def is_over(self) -> bool:
        """Whether anything came of it."""
        return self.status != "running"

    @property
    def links(self) -> dict[str, str]:
        """Where it is opened: ``launch``, and the badge as ``markdown``, ``rst`` and ``html``."""
        links: dict[str, str] = self.document["links"]
        return links


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A line of a build's log."""

    #: Following goes on after it.
    id: str
    text: str
    phase: str
    #: Step n of m in this phase; 0 of 0 where unknown.
    step: int
    steps: int
    document: Document

    @classmethod
    def of(cls, document: Document) -> Self:
        """Read an entry."""
        return cls(
            id=document["id"],
            text=document["text"],
            phase=document["phase"],
            step=document["step"],
            steps=document["steps"],
            document=document,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What can be launched."""

    name: str
    image: str
    document: Document

    @classmethod
    def of(cls, document: Document) -> Self:
        """Read an answer."""
        image = document.get("image-source") or document["image-name"]
        return cls(name=document["name"], image=image, document=document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A template that was launched."""

    id: str
    template: str
    #: "pending", "deploying", "deployed", "failed" or "deleted".
    status: str
    #: The full address where it answers; empty until it does.
    location: str
    error: str
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """How many environments of a template there are to be, and are."""

    template: str
    size: int
    available: int
    running: int
    document: Document

    @classmethod
    def of(cls, document: Document) -> Self:
        """Read an answer."""
        return cls(
            template=document["template-name"],
            size=document["size"],
            available=document["available"],
            running=document["running"],
            document=document,
        )
