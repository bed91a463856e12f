"""What ``tmpenv serve`` says when it is up."""

import os
from collections.abc import Iterator, Mapping

from spawner.model import Pool, Template
from web.addresses import is_loopback, public_url
from web.app import Running
from web.version import VERSION
from web.views import title_of


def banner(running: Running) -> str:
    """Say where it serves, what, on what, and what one must know about that."""
    settings, recipes = running.settings, running.recipes
    backend = running.choice.backend
    exits = {
        "keep": "Ctrl-C; environments go on, and the next start finds them",
        "stop": "Ctrl-C; all environments end with it",
    }
    url = public_url(settings.host, running.port, settings.base_url, is_secure=settings.is_secure)
    lines = [
        f"tmpenv {VERSION} is up.",
        "",
        f"  Open       {url}",
        f"  Backend    {backend.name}",
        *_recipes(recipes.templates, recipes.pools, settings.base_url),
        f"  State      {settings.state}",
        f"  End        {exits[settings.on_exit]}",
    ]
    lines += [f"\n{note}" for note in _notes(running)]
    return "\n".join(lines) + "\n"


def _recipes(
    templates: Mapping[str, Template], pools: Mapping[str, Pool], mount: str
) -> Iterator[str]:
    for index, (name, template) in enumerate(templates.items()):
        head = "Templates" if index == 0 else ""
        pool = pools[name]
        yield (
            f"  {head:<10} {title_of(template)} ({mount}launch/{name}): "
            f"up to {pool.size}, {pool.target} kept ready"
        )


def _notes(running: Running) -> Iterator[str]:
    choice = running.choice
    if choice.reason:
        yield f"Not on Docker: {choice.reason}"
    if choice.backend.gap:
        yield f"WARNING: {choice.backend.gap}"
    if choice.backend.warning:
        yield f"WARNING: {choice.backend.warning}"
        if os.geteuid() == 0:
            yield "WARNING: It was started by root: whoever opens an environment is root here."
        if not is_loopback(running.settings.host):
            yield (
                f"WARNING: It listens on {running.settings.host}: whoever reaches that address "
                "can run programs on this machine."
            )
