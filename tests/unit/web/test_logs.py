"""A record is a JSON line, or a line for people; its facts stand beside the message."""

import contextvars
import json
import logging

from web.logs import REQUEST, JsonLines, Text


def record(**extra: object) -> logging.LogRecord:
    logger = logging.getLogger("a.b")
    return logger.makeRecord("a.b", logging.INFO, "f", 1, "It happened", (), None, extra=extra)


def test_a_json_line_has_the_facts_beside_the_message() -> None:
    line = json.loads(JsonLines().format(record(event="x.y", count=2)))

    assert line["message"] == "It happened"
    assert (line["level"], line["logger"], line["event"], line["count"]) == (
        "info",
        "a.b",
        "x.y",
        2,
    )


def test_every_json_line_says_which_tmpenv_it_is_of() -> None:
    line = json.loads(JsonLines({"instance": "blue"}).format(record(event="x.y")))

    assert (line["instance"], line["event"]) == ("blue", "x.y")


def test_a_line_names_the_request_that_caused_it() -> None:
    def logged() -> str:
        REQUEST.set("1-a")
        return JsonLines().format(record(event="x.y"))

    line = json.loads(contextvars.copy_context().run(logged))

    assert line["request"] == "1-a"
    assert "request" not in json.loads(JsonLines().format(record(event="x.y")))


def test_a_line_for_people_keeps_to_one_line() -> None:
    line = Text(in_colour=False).format(record(event="x.y", reason="a b\nc", id="z"))

    assert line.endswith('It happened  reason="a b\\nc" id=z')


def test_a_traceback_goes_with_its_record() -> None:
    error = ValueError("why")
    failed = record()
    failed.exc_info = (ValueError, error, None)

    assert "ValueError: why" in json.loads(JsonLines().format(failed))["traceback"]
    assert "ValueError: why" in Text(in_colour=False).format(failed)
