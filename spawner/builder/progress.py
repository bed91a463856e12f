"""Read what BuildKit prints with ``--progress=plain``: pure.

Each line names by number the step it belongs to, ``#5 …``, since several run at
once; what a ``RUN`` prints comes with its time, ``#5 0.35 …``, so that no
output can be taken for BuildKit's own words. Docker 20.10 and buildx differ in
little: digests after a step's name, and what follows the last step.

A step that two builds have in common runs once, and both are told the name and the
number that it has in the first: how far a build is need not come out even.
"""

import re

_LINE = re.compile(r"#(\d+) (.*)")
_NUMBERED = re.compile(r"\[(?:(\S+) )? *(\d+)/(\d+)\] ")
_PRINTED = re.compile(r"\d+\.\d+(?: (.*))?")
_ENDED = re.compile(r"DONE( \d+\.\d+s)?|CACHED|CANCELED")
_PROCESS = re.compile(
    r'(?:executor failed running \[.*\]|process ".*" did not complete successfully): '
)
#: What stands round an excerpt that says again what was told.
_RULER = re.compile(r"-{4,}")
#: Of a step's output, kept for when it fails.
_LAST_LINES = 3
_LONGEST_LINE = 4000


class BuildProgress:
    """What a build has printed so far."""

    def __init__(self) -> None:
        #: How far it is: the sum over all stages that have begun.
        self.step = 0
        self.steps = 0
        #: The step that failed, with its last lines, in one line; empty if none did.
        self.failure = ""
        #: What the command said by itself at its end.
        self.last_words = ""
        self._names: dict[str, str] = {}
        self._printed: dict[str, list[str]] = {}
        self._stages: dict[str, tuple[int, int]] = {}
        self._shown = ""

    def take(self, line: str) -> list[str]:
        """Take in one line; give those that belong into the log of a build."""
        found = _LINE.fullmatch(line)
        if found is None:
            return self._take_other(line)
        number, text = found[1], found[2]
        if number not in self._names:
            return self._begin(number, text)
        if printed := _PRINTED.fullmatch(text):
            return self._print(number, printed[1] or "")
        if text.startswith("ERROR: "):
            return self._fail(number, text)
        if _ENDED.fullmatch(text) and self._is_told(number):
            return [*self._show(number), text]
        return []

    def _begin(self, number: str, name: str) -> list[str]:
        self._names[number] = name
        if step := _NUMBERED.match(name):
            stage, at, of = step[1] or "", int(step[2]), int(step[3])
            highest, _ = self._stages.get(stage, (0, 0))
            self._stages[stage] = (max(highest, at), of)
            self.step, self.steps = map(sum, zip(*self._stages.values(), strict=True))
        return self._show(number) if self._is_told(number) else []

    def _print(self, number: str, text: str) -> list[str]:
        # A progress bar writes over itself: what was seen last counts.
        text = text.rstrip("\r").rpartition("\r")[2][:_LONGEST_LINE]
        kept = self._printed.setdefault(number, [])
        if text.strip():
            kept.append(text.strip())
            del kept[:-_LAST_LINES]
        return [*self._show(number), text]

    def _fail(self, number: str, text: str) -> list[str]:
        reason = _PROCESS.sub("", text.removeprefix("ERROR: "))
        # What was under way when another step failed is not the failure.
        if not self.failure and not reason.endswith("context canceled"):
            words = [f"{self._names[number]}: {reason}", *self._printed.get(number, ())]
            self.failure = " | ".join(words)
        return [*self._show(number), f"ERROR: {reason}"]

    def _take_other(self, line: str) -> list[str]:
        if line.strip() and not _RULER.fullmatch(line):
            self.last_words = line.strip()
        return []

    def _is_told(self, number: str) -> bool:
        name = self._names[number]
        return bool(_NUMBERED.match(name)) or name.startswith("exporting to ")

    def _show(self, number: str) -> list[str]:
        """Name the step whose lines follow, unless it was named last."""
        if self._shown == number:
            return []
        self._shown = number
        return [self._names[number]]
