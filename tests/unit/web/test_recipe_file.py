"""What is written of templates and pools is read again as the same."""

import tomllib
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spawner.model import Auth, Pool, ServiceWanted, Template
from spawner.units import NEVER
from web.recipe_checks import read_recipes
from web.recipe_file import write_recipes

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
DURATIONS = st.timedeltas(timedelta(0), timedelta(days=3650))
NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True)
FIELDS: dict[str, Any] = {
    "title": TEXT,
    "description": TEXT,
    "public": st.booleans(),
    "image": TEXT,
    "command": st.none() | TEXT | st.lists(TEXT, max_size=3).map(tuple),
    "env": st.dictionaries(
        st.from_regex(r"[A-Za-z_]\w{0,5}", fullmatch=True).filter(str.isascii), TEXT
    ),
    "start_timeout": DURATIONS,
    "memory": st.integers(6 << 20, 1 << 45) | st.integers(6, 9999).map(lambda one: one << 20),
    "cpus": st.floats(0.01, 1e6),
    "mounts": st.lists(TEXT, max_size=2).map(tuple),
    "services": st.lists(
        st.builds(
            ServiceWanted,
            name=st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True),
            version=TEXT,
            params=st.dictionaries(
                st.from_regex(r"[a-z][a-z-]{0,5}", fullmatch=True), st.sampled_from(["", "1G"])
            ),
        ),
        max_size=2,
        unique_by=lambda one: one.name,
    ).map(tuple),
    "auth": st.sampled_from(Auth),
    "idle_timeout": st.none() | DURATIONS | st.just(NEVER),
    "cull_busy": st.booleans(),
}
POOLS = st.builds(
    Pool,
    size=st.integers(0, 500),
    spare=st.none() | st.integers(0, 500),
    max_spare_age=DURATIONS,
)


@given(st.dictionaries(NAMES, st.tuples(st.fixed_dictionaries(FIELDS), POOLS), max_size=3))
def test_what_is_written_is_read_again_as_the_same(drawn: dict[str, Any]) -> None:
    templates = {name: Template(name=name, **fields) for name, (fields, _) in drawn.items()}
    pools = {name: pool for name, (_, pool) in drawn.items()}

    read = read_recipes(tomllib.loads(write_recipes(templates, pools)))

    assert read.templates == templates
    assert read.pools == pools


def test_it_is_written_as_people_write_it() -> None:
    template = Template(
        name="my.course",
        title='The "first"\nlab',
        command=("jupyter", "lab"),
        env={"A": "1"},
        memory="2G",
        idle_timeout="30m",
        max_age="never",
    )

    assert write_recipes({"my.course": template}, {"my.course": Pool(size=40, spare=5)}) == (
        '[templates."my.course"]\n'
        'title = "The \\"first\\"\\nlab"\n'
        'command = ["jupyter", "lab"]\n'
        'env = { A = "1" }\n'
        'memory = "2G"\n'
        'idle_timeout = "30m"\n'
        'max_age = "never"\n'
        "\n"
        '[pools."my.course"]\n'
        "size = 40\n"
        "spare = 5\n"
    )
