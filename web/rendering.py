"""Turn templates into pages. Everything is escaped unless a template says otherwise; none does."""

from pathlib import Path

import jinja2

from web.static_files import static_url
from web.version import VERSION

_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.globals.update(static=static_url, version=VERSION, service="tmpenv")


def render(name: str, **values: object) -> str:
    """Give the page that a template makes of these values."""
    return _PAGES.get_template(name).render(**values)


def name_service(title: str) -> None:
    """Say what the service is called on every page."""
    _PAGES.globals["service"] = title
