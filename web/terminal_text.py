"""Make what a stranger's program printed safe to show on an operator's terminal.

Pure. A terminal obeys control characters: it can be told to move, to hide or
to answer. So none reaches it but the ends of lines and tabs. Colours are left
out; everything else is shown by its number, so that nothing that was
printed can hide.
"""

import codecs
import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
#: What may go on in the next part: the half of an end of line, or of a colour.
_UNFINISHED = re.compile(r"(?:\r|\x1b(?:\[[0-9;:]{0,64})?)\Z")
#: Controls of ASCII and of Latin-1, and those that change the direction of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class SafeText:
    """Reads bytes in whatever parts they come, and gives text that is safe to show."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._kept = ""

    def add(self, part: bytes) -> str:
        """Give what is complete now."""
        text = self._kept + self._decoder.decode(part)
        unfinished = _UNFINISHED.search(text)
        self._kept = unfinished[0] if unfinished else ""
        return _shown(text[: len(text) - len(self._kept)])

    def end(self) -> str:
        """Give what was still kept."""
        return _shown(self._kept + self._decoder.decode(b"", final=True))


def _shown(text: str) -> str:
    text = _COLOUR.sub("", text.replace("\r\n", "\n"))
    # A bar of progress writes over its line; here each state is a line.
    return _CONTROL.sub(_name, text.replace("\r", "\n"))


def _name(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
