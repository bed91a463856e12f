"""The documentation of the settings is made from them."""

from pathlib import Path

from web.config_docs import help_text, markdown, tables

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_document_is_what_the_settings_say() -> None:
    assert DOCUMENT.read_text() == markdown() + "\n", "run: python -m web.config_docs"


def test_every_key_is_described() -> None:
    for name, about, rows in tables():
        assert about or not name
        assert all(row.about for row in rows)


def test_the_help_lists_the_keys_that_have_no_flag() -> None:
    assert 'idle_timeout = 1h  Ended after so long unused; "never"' in help_text()
    assert "log_size = 10M" in help_text()
