"""Know a secret by its name or its form, and show what holds it without it.

Pure. Rather too much is masked than too little.
"""

import re
from collections.abc import Iterator, Sequence

MASK = "********"
#: The settings that are secrets, by their last word.
_SECRET_KEYS = frozenset(
    "api_key secret_key redis_url ssl_key_passphrase password registry_password"
    " pip_index_url npm_registry http_proxy https_proxy".split()
)
#: Tables whose keys are an operator's own words.
_FREE = frozenset({"env", "exports", "params"})
_NAME = r"secret|token|passw|passphrase|pwd|credential|private|auth|key"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
#: user:password@ of an address, and all that stands behind its "?".
_USER = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(r"(?<=://)([^\s?]*)\?[^\s]*")
#: --password=x, TOKEN=x, "api-key: x"; a placeholder of ours is no secret.
_ASSIGNED = re.compile(
    rf"([\w.-]*(?:{_NAME})[\w.-]*\s*[=:]\s*)(?!\{{\w+\}})(\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE
)
_FLAG = re.compile(rf"(--?[\w.-]*(?:{_NAME})[\w.-]*\s+)(?!\{{\w+\}})(\S+)", re.IGNORECASE)
_LONE_FLAG = re.compile(rf"--?[\w.-]*(?:{_NAME})[\w.-]*", re.IGNORECASE)


def is_secret(location: Sequence[str | int]) -> bool:
    """Say whether a secret is kept at this place of the settings, or below a secret's name."""
    keys = [str(key) for key in location]
    if _SECRET_KEYS.intersection(keys):
        return True
    within = next((at for at, key in enumerate(keys) if key in _FREE), len(keys))
    return any(_SECRET_NAME.search(name) for name in keys[within + 1 :])


def masked_text(text: str) -> str:
    """Show a text without the secrets that stand in addresses and arguments."""
    text = _USER.sub(f"{MASK}@", text)
    text = _QUERY.sub(rf"\1?{MASK}", text)
    return _FLAG.sub(rf"\1{MASK}", _ASSIGNED.sub(rf"\1{MASK}", text))


def masked_words(words: Sequence[str]) -> list[str]:
    """Show an argument vector without secrets, also those that follow their flag."""
    return list(_words(words))


def _words(words: Sequence[str]) -> Iterator[str]:
    is_value = False
    for word in words:
        is_placeholder = word.startswith("{") and word.endswith("}")
        yield MASK if is_value and not is_placeholder else masked_text(word)
        is_value = bool(_LONE_FLAG.fullmatch(word))
