"""Log lines: for eyes on a terminal, as JSON everywhere else.

A message is constant, and its facts stand beside it, so that both forms come
from one call. Nothing here takes secrets out again: they are never put in.
"""

import contextvars
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from web.config import Settings

#: What every record has; the rest are facts that a caller gave.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m", "DEBUG": "\x1b[2m"}
_RESET = "\x1b[0m"

#: The request that is being answered, which every line that it causes names.
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="")


class JsonLines(logging.Formatter):
    """One JSON object for each record; ``always`` stands in each."""

    def __init__(self, always: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._always = always or {}

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._always,
            **facts(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class Text(logging.Formatter):
    """Lines for people."""

    def __init__(self, *, in_colour: bool) -> None:
        super().__init__()
        self._in_colour = in_colour

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as a line, with its traceback below."""
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        told = " ".join(
            f"{key}={_shown(value)}" for key, value in facts(record).items() if key != "event"
        )
        level = f"{record.levelname.lower():<8}"
        if self._in_colour and record.levelname in _COLOURS:
            level = f"{_COLOURS[record.levelname]}{level}{_RESET}"
        line = f"{moment} {level} {record.getMessage()}" + (f"  {told}" if told else "")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


@dataclass(frozen=True, slots=True)
class LogStyle:
    """What is logged, and how."""

    level: str = "info"  # the least serious
    form: str = "auto"  # text, json, or text on a terminal alone
    always: Mapping[str, str] = field(default_factory=dict)  # facts of every JSON line


def style_of(settings: Settings, **always: str) -> LogStyle:
    """Say how to log as the settings want it, with ``always`` and the instance in every line."""
    facts_of_all = {"instance": settings.instance, **always}
    return LogStyle(settings.log_level, settings.log_format, facts_of_all)


def send(style: LogStyle, stream: TextIO | None = None) -> None:
    """Send the log to ``stream``, standard error unless told."""
    stream = stream or sys.stderr
    is_terminal = stream.isatty()
    is_text = style.form == "text" or (style.form == "auto" and is_terminal)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Text(in_colour=is_terminal) if is_text else JsonLines(style.always))
    logging.basicConfig(level=style.level.upper(), handlers=[handler], force=True)
    # These tell every connection and request, addresses with query strings among them.
    for chatty in ("asyncio", "urllib3", "docker", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """Give what the caller said in ``extra``, and the request that it was said for."""
    told = {key: value for key, value in vars(record).items() if key not in _OWN}
    request = REQUEST.get()
    return {**told, "request": request} if request and "request" not in told else told


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "\n=') else text
