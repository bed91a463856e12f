"""What an environment printed is told without its secrets."""

import pytest

from spawner.last_words import masked


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
