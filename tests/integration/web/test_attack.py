"""The whole interface, attacked by its own document: nothing is 500, nothing undocumented.

Whatever operations there are take part; nothing here names one but for what would end
the service itself.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.components import require
from tests.integration.web.attack import TIMEOUT_S, Attack
from tests.integration.web.conftest import API_KEY as SITE_KEY
from tests.integration.web.conftest import Open
from tests.integration.web.test_binder_builds import Building
from tests.serving import API_KEY, PERL, TINY_SERVER, Serving
from web.api.documents import DOCUMENT

CONFIG = f"""
backend = "process"
[templates.tiny]
command = ["{PERL}", "{TINY_SERVER}"]
[pools.tiny]
size = 3
spare = 1
"""
#: A drain ends the process once nobody uses it.
ENDS_IT_ALL = ("drain_begin",)
KEY = {"Authorization": f"token {API_KEY}"}
KINDS = ["application/json", "application/json; charset=utf-16", "text/plain", "a", ""]


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    require("perl")
    async with Serving(tmp_path, CONFIG) as serving:
        yield serving


async def document_of(serving: Serving) -> Any:
    async with serving.session.get(f"{serving.url}/api/openapi.json") as response:
        assert response.content_type == "application/json"
        return await response.json()


@pytest.mark.parametrize("headers", [KEY, {}], ids=["with the key", "without a key"])
async def test_a_running_tmpenv_answers_what_it_documents(
    serving: Serving, headers: dict[str, str]
) -> None:
    document = await document_of(serving)
    attack = Attack(
        serving.url, document, headers, known={"name": "tiny", "template": "tiny"}, examples=8
    )

    await asyncio.to_thread(attack.run, leave_out=ENDS_IT_ALL)

    assert not attack.wrong, "\n\n".join(attack.wrong)
    tried = {(method.lower(), path) for method, path, _ in attack.answered}
    there = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert there - tried == {("post", "/api/drain")}
    statuses = {status for _, _, status in attack.answered}
    assert statuses >= ({200, 400, 404, 422} if headers else {200, 403})


async def test_builds_answer_what_is_documented(open_site: Open) -> None:
    async with open_site() as site:
        building = Building(site)
        await building.start()
        await building.builds.say("org-repo", "a line")
        attack = Attack(
            str(site.client.make_url("/")),
            site.client.app[DOCUMENT],
            {"Authorization": SITE_KEY, "X-Request-Id": "named by the edge"},
            known={"name": "org-repo", "template": "lab"},
            examples=15,
        )

        await asyncio.to_thread(attack.run, leave_out=ENDS_IT_ALL)

        assert not attack.wrong, "\n\n".join(attack.wrong)
        assert ("GET", "/builds/{name}/logs", 200) in attack.answered


def bodies(names: list[str]) -> st.SearchStrategy[bytes]:
    """Make bodies that have something to do with what an operation takes, or little."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    name = st.sampled_from(names) | st.text(max_size=8)
    values = st.recursive(
        scalars,
        lambda one: st.lists(one, max_size=4) | st.dictionaries(name, one, max_size=4),
        max_leaves=8,
    )
    objects = st.dictionaries(name, values, max_size=6)
    # NaN, infinities and halves of characters are written as they come.
    written = (objects | values).map(json.dumps).map(str.encode)
    cut = st.tuples(written, st.integers(0, 40)).map(lambda pair: pair[0][: pair[1]])
    return written | cut | st.binary(max_size=40)


def with_bodies(document: Any) -> Iterator[tuple[str, str, list[str]]]:
    """Give method, path and the names of every operation that takes a body."""
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            content = described.get("requestBody", {}).get("content", {})
            if content:
                names = re.findall(
                    r'"([a-z-]+)": {"', json.dumps(document["components"]["schemas"])
                )
                yield method.upper(), re.sub(r"{\w+}", "tiny", path), sorted(set(names))


async def test_no_body_is_an_internal_error(serving: Serving) -> None:
    document = await document_of(serving)
    operations = list(with_bodies(document))
    seen: set[int] = set()

    @seed(1)
    @settings(max_examples=400, deadline=None, database=None, phases=[Phase.generate])
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        method, path, names = data.draw(st.sampled_from(operations))
        body = data.draw(bodies(names))
        headers = {**KEY, "Content-Type": data.draw(st.sampled_from(KINDS))}
        response = session.request(
            method, f"{serving.url}{path}", data=body, headers=headers, timeout=TIMEOUT_S
        )
        seen.add(response.status_code)
        assert response.status_code != 500, (method, path, body, response.text)
        if response.status_code >= 400:
            assert set(response.json()) >= {"type", "error"}

    with requests.Session() as session:
        await asyncio.to_thread(attempt)

    assert len(operations) >= 4
    assert seen >= {400, 415, 422}
