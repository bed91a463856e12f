"""What shells complete: the names of templates, as the tmpenv that is meant tells them."""

from pathlib import Path
from typing import Any

import typer

from web.commands.asking import FLAGS, Tmpenv
from web.config_errors import ConfigError
from web.start_errors import StartError

#: Longer, and who pressed Tab believes that the shell hangs.
_TIMEOUT_S = 2.0


def complete_template(context: typer.Context, incomplete: str) -> list[str]:
    """Give the names of templates that begin so; none where nobody tells them."""
    given: dict[str, Any] = {name: context.params.get(name) for name in FLAGS}
    for name in ("config", "state_dir", "ssl_cert"):
        # Shells complete before anything is read as what it stands for.
        given[name] = Path(given[name]) if given[name] else None
    try:
        templates = Tmpenv.meant_by(**given).client.templates(timeout_s=_TIMEOUT_S)
    except (StartError, ConfigError):
        return []
    return [one.name for one in templates if one.name.startswith(incomplete)]
