"""What is said at the start."""

from spawner.backends.memory import MemoryBackend, World
from web.app import Running
from web.backend_choice import Choice
from web.banner import banner
from web.config_sources import load
from web.recipes import recipes_for


def said(gap: str) -> str:
    backend = MemoryBackend("one", World())
    backend.gap = gap
    settings = load(environ={})
    recipes = recipes_for(settings, "docker")
    return banner(Running(settings=settings, choice=Choice(backend), recipes=recipes, port=8000))


def test_what_is_not_enforced_is_said() -> None:
    gap = "Environments can reach services of this machine."

    assert f"WARNING: {gap}" in said(gap)
    assert gap not in said("")
