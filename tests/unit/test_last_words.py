"""What an environment printed is told without its secrets."""

import pytest

from spawner.backends.memory import MemoryBackend, World
from spawner.identity import Tokens
from spawner.last_words import LastWords, masked


@pytest.mark.parametrize(
    ("text", "secrets", "told"),
    [
        ("at http://h/?token=abcdef12", ["abcdef12"], "at http://h/?token=***"),
        ("abcdef12345", ["abcdef", "abcdef12345"], "***"),
        ("a yes or no", ["yes", ""], "a yes or no"),
    ],
)
def test_secrets_are_taken_out_whole_and_words_are_left(
    text: str, secrets: list[str], told: str
) -> None:
    assert masked(text, secrets) == told


class Printing(MemoryBackend):
    """Environments that print what opens doors."""

    async def tail(self, environment_id: str, lines: int) -> str:
        tokens = Tokens("secret")
        return f"token {tokens.token(environment_id)} way out {tokens.egress(environment_id)}"


async def test_neither_of_an_environments_keys_is_told() -> None:
    words = LastWords(Printing("one", World()), Tokens("secret"))

    assert await words.of("abc", None) == "token *** way out ***"
