"""What a build prints is made fit to be kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner.builder.inputs import inputs_of, is_made_of, tag_of
from spawner.builder.log_lines import MOST_BYTES, fit, mask_of
from spawner.builder.model import Source
from spawner.builder.settings import BuildSettings

SOURCE = Source(provider="git", url="https://h/r", ref="", display_name="r", name="r")


def fitted(text: str) -> list[str]:
    return list(fit(text, lambda line: line))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("plain", ["plain"]),
        ("two\nlines", ["two", "lines"]),
        ("windows\r\n", ["windows", ""]),
        (" 10%\r 50%\r100%", ["100%"]),
        (" 10%\r100%\r", ["100%"]),
        ("\x1b[1;31mred\x1b[0m\tand\x07 loud", ["red\tand loud"]),
        ("\x1b]0;title\x07text", ["text"]),
        ("\x9b2Jnul\x00", ["2Jnul"]),
        ("half \ud800 a pair", ["half ? a pair"]),
    ],
)
def test_what_draws_on_a_terminal_is_taken_out(text: str, lines: list[str]) -> None:
    assert fitted(text) == lines


@given(st.text())
def test_no_control_character_but_the_tab_is_left(text: str) -> None:
    for line in fitted(text):
        assert not [char for char in line if (ord(char) < 32 and char != "\t") or char == "\x7f"]
        line.encode()


@given(st.text(min_size=1, max_size=20))
def test_a_long_line_is_cut(text: str) -> None:
    for line in fitted(text * MOST_BYTES):
        assert len(line.encode()) <= MOST_BYTES + 20


def test_a_secret_is_masked_before_a_line_is_cut_through_it() -> None:
    settings = BuildSettings.model_validate({"registry_password": "hunter2-hunter2"})
    line = "x" * (MOST_BYTES - 5) + "hunter2-hunter2"

    (kept,) = fit(line, mask_of(settings, lambda text: text))

    assert "hunt" not in kept


def test_the_inputs_tell_apart_what_gives_another_image() -> None:
    usual = BuildSettings()
    others = (
        inputs_of(SOURCE, "b" * 40, (), usual),
        inputs_of(SOURCE, "a" * 40, ("Dockerfile",), usual),
        inputs_of(SOURCE, "a" * 40, (), usual.model_copy(update={"base_images": {"3": "x"}})),
        inputs_of(SOURCE, "a" * 40, (), usual.model_copy(update={"builder": "repo2docker"})),
    )
    same = inputs_of(SOURCE, "a" * 40, (), usual.model_copy(update={"at_once": 7}))

    assert same == inputs_of(SOURCE, "a" * 40, (), usual)
    assert len({same, *others}) == 5


def test_a_forced_image_is_known_as_made_of_the_same() -> None:
    plain = f"here/r:{tag_of('a' * 40, '0123456789')}"

    assert plain == "here/r:aaaaaaaaaaaa-01234567"
    assert is_made_of(plain, plain)
    assert is_made_of(f"{plain}-7", plain)
    assert not is_made_of(f"{plain}-x", plain)
    assert not is_made_of("here/r:aaaaaaaaaaaa-01234568", plain)


def test_images_are_removed_down_to_less_than_where_it_began() -> None:
    with pytest.raises(ValueError, match="disk_low must be below disk_high"):
        BuildSettings.model_validate({"disk_low": 90, "disk_high": 85})
