"""What an instance runs: the configured templates, or JupyterLab where there are none."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spawner.model import Pool, Template
from web.config import BUILTIN, Settings
from web.recipe_checks import backend_faults
from web.start_errors import StartError

#: The image that images/build.sh makes.
IMAGE = "tmpenv/jupyter"
_POOL = Pool(size=10, spare=2)
_JUPYTER_LAB = (
    *("jupyter", "lab", "--no-browser", "--ip={ip}", "--port={port}"),
    *("--ServerApp.base_url={base_path}", "--ServerApp.port_retries=0"),
    # The host that a visitor names is the edge's, and the edge decides on origins.
    *("--ServerApp.allow_remote_access=True", "--ServerApp.allow_origin=*"),
    *("--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
    # Without it Jupyter ends at once where root started tmpenv, who was warned (banner.py).
    "--allow-root",
)


@dataclass(frozen=True, slots=True)
class Recipes:
    """Templates and their pools, by the template's name."""

    templates: Mapping[str, Template]
    pools: Mapping[str, Pool]


def recipes_for(settings: Settings, backend: str) -> Recipes:
    """Give the recipes that a backend is to run.

    Raises:
        StartError: The backend lacks what one of them needs.
    """
    if not settings.templates:
        template = _builtin(backend)
        return Recipes({BUILTIN: template}, {BUILTIN: settings.pools.get(BUILTIN, _POOL)})
    for template in settings.templates.values():
        for fault in backend_faults(template, backend, settings.docker.reach):
            raise StartError(f"templates.{template.name}.{fault}")
    pools = {name: settings.pools.get(name, Pool()) for name in settings.templates}
    return Recipes(settings.templates, pools)


def _builtin(backend: str) -> Template:
    """Make the template of those who configured none.

    A process runs what is installed beside tmpenv. The image brings its own
    command and needs none of ours.
    """
    if backend == "process" and not _finds_jupyter():
        raise StartError(
            "JupyterLab is not installed here: pip install 'tmpenv[lab]', or configure a template"
        )
    return Template(
        name=BUILTIN,
        title="JupyterLab",
        description="Notebooks, a terminal and a text editor, in your browser.",
        image=IMAGE,
        command=_JUPYTER_LAB if backend == "process" else None,
        urlpath="lab",
    )


def _finds_jupyter() -> bool:
    beside = Path(sys.executable).parent / "jupyter-lab"
    return beside.exists() or shutil.which("jupyter-lab") is not None
