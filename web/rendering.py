"""Turn templates into pages. Everything is escaped unless a template says otherwise; none does."""

import re
from functools import partial
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from web.static_files import static_url
from web.version import VERSION

_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.globals.update(version=VERSION)
_CODE = re.compile(r"`([^`]+)`")


def _marked(text: str) -> Markup:
    """Show as code what stands between backquotes."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704


_PAGES.filters["marked"] = _marked


class Renderer:
    """Makes the pages of one service."""

    def __init__(self, service: str, mount: str = "/") -> None:
        """Call it ``service`` on every page, and lead to what is found under ``mount``.

        That is a path, or a whole URL for pages that are read at another origin.
        """
        self.mount = mount
        self._shared: dict[str, object] = {
            "service": service,
            "mount": mount,
            "static": partial(static_url, mount=mount),
        }

    def render(self, name: str, **values: object) -> str:
        """Give the page that a template makes of these values."""
        return _PAGES.get_template(name).render(self._shared, **values)
