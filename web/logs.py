"""Log lines: for eyes on a terminal, as JSON everywhere else.

A message is constant, and its facts stand beside it, so that both forms come
from one call. Nothing here takes secrets out again: they are never put in.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from web.config import Settings

#: What every record has; the rest are facts that a caller gave.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m", "DEBUG": "\x1b[2m"}
_RESET = "\x1b[0m"


class JsonLines(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
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


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send the log to ``stream``, standard error unless told."""
    send(settings.log_level, settings.log_format, stream)


def send(level: str, form: str = "auto", stream: TextIO | None = None) -> None:
    """Send what is at least as serious as ``level`` to ``stream``."""
    stream = stream or sys.stderr
    is_terminal = stream.isatty()
    is_text = form == "text" or (form == "auto" and is_terminal)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Text(in_colour=is_terminal) if is_text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # These tell every connection and request, addresses with query strings among them.
    for chatty in ("asyncio", "urllib3", "docker", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """Give what the caller said in ``extra``."""
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "\n=') else text
