"""``tmpenv register``, ``launch``, ``templates``, ``apps``, ``pools``; what shells complete."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.command import run, variables
from tests.integration.web.asking import Edge, edge_of, tmpenv
from tests.integration.web.conftest import API_KEY, Open
from tests.serving import COMMAND
from web.client import Client


@pytest.fixture
async def edge(open_site: Open) -> AsyncIterator[Edge]:
    async with open_site() as site, edge_of(site) as edge:
        await site.has_spares(1)
        yield edge


async def test_an_image_becomes_a_template_that_is_listed(edge: Edge) -> None:
    registered = await tmpenv(
        edge,
        *("register", "--image", "example/course:2", "--name", "course", "--memory", "1G"),
        *("--cpus", "0.5", "--cull-timeout", "30m", "--env", "A=b=c", "--urlpath", "lab"),
        *("--command", "serve --port {port}", "--port", "9000"),
    )
    listed = await tmpenv(edge, "templates")
    documents = json.loads((await tmpenv(edge, "templates", "--json")).out)

    course = next(one for one in documents if one["name"] == "course")
    assert registered.code == 0, registered.err
    assert registered.out.splitlines()[0] == "course: registered, from example/course:2"
    assert "Launch it: tmpenv launch --template course" in registered.out
    assert listed.out.splitlines()[0].split() == ["TEMPLATE", "FROM", "CHANGED", "IMAGE"]
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == ["lab", "course"]
    assert course["limits"] == {"memory": "1G", "cpu": "0.5"}
    assert (course["cull-timeout"], course["env"]) == (1800, {"A": "b=c"})
    assert (course["command"], course["port"]) == ("serve --port {port}", 9000)


@pytest.mark.parametrize(
    "flags",
    [("--memory", "much"), ("--env", "A"), ("--cull-timeout", "soon"), ("--port", "0")],
)
async def test_what_is_registered_wrongly_is_told_in_one_line(
    edge: Edge, flags: tuple[str, str]
) -> None:
    told = await tmpenv(edge, "register", "--image", "example/course:2", *flags)

    assert told.code == 2
    assert len(told.err.splitlines()) == 1
    assert "example" not in (await tmpenv(edge, "templates")).out


async def test_a_launch_prints_the_address_that_opens_it(edge: Edge) -> None:
    launched = await tmpenv(edge, "launch", "--template", "lab")
    documents = json.loads((await tmpenv(edge, "apps", "--json")).out)
    listed = await tmpenv(edge, "apps")

    assert launched.code == 0, launched.err
    assert launched.out.startswith(f"{edge.url}/user/")
    assert launched.err == ""
    assert [one["status"] for one in documents] == ["deployed"]
    assert documents[0]["id"] in listed.out


async def test_a_launch_opens_a_browser(edge: Edge, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)

    launched = await tmpenv(edge, "launch", "--template", "lab", "--open", BROWSER=f"{browser} %s")

    assert launched.code == 0, launched.err
    assert (tmp_path / "opened").read_text() == launched.out


async def test_what_cannot_be_launched_and_who_has_no_key_is_told_so(edge: Edge) -> None:
    unknown = await tmpenv(edge, "launch", "--template", "nosuch")
    keyless = await asyncio.to_thread(run, "apps", "--server", edge.url, "--api-key", "wrong")

    assert (unknown.code, keyless.returncode) == (1, 1)
    assert keyless.stderr.startswith("tmpenv: the API key is missing or wrong")


async def test_pools_are_set_listed_and_removed(edge: Edge) -> None:
    await tmpenv(edge, "register", "--image", "example/course:2", "--name", "course")

    made = await tmpenv(edge, "pools", "set", "course", "2")
    listed = await tmpenv(edge, "pools", "list")
    removed = await tmpenv(edge, "pools", "remove", "course")
    again = await tmpenv(edge, "pools", "remove", "course")
    declared = await tmpenv(edge, "pools", "set", "nosuch", "1")
    wrong = await tmpenv(edge, "pools", "set", "course", "many")

    assert made.code == 0, made.err
    assert made.out.startswith("course: 2, ")
    assert [line.split()[:2] for line in listed.out.splitlines()][-1] == ["course", "2"]
    assert (removed.code, removed.out) == (0, "course: removed\n")
    assert (again.code, declared.code, wrong.code) == (1, 1, 2)


async def test_other_programs_use_the_client(edge: Edge) -> None:
    def use() -> tuple[str, str]:
        client = Client(edge.url, API_KEY)
        ready = client.until_ready(client.launch("lab"))
        return ready.location, client.stop(ready).status

    location, ended = await asyncio.to_thread(use)

    assert location.startswith(f"{edge.url}/user/")
    assert ended == "deleted"


async def test_a_real_bash_completes_commands_and_names_of_templates(
    edge: Edge, tmp_path: Path
) -> None:
    bash = shutil.which("bash")
    assert bash
    script = f"""
eval "$({COMMAND} --show-completion bash)"
complete_line() {{
    COMP_WORDS=($1); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMPREPLY=()
    $(complete -p tmpenv | sed 's/.*-F \\([^ ]*\\).*/\\1/') {COMMAND}
    echo "${{COMPREPLY[@]}}"
}}
complete_line "tmpenv temp"
complete_line "tmpenv launch --server {edge.url} --api-key {API_KEY} --template l"
complete_line "tmpenv launch --server http://127.0.0.1:1 --template l"
"""
    path = f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}"

    told = await asyncio.to_thread(
        subprocess.run,
        [bash, "--norc", "-c", script],
        env=variables(PATH=path, HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert told.stdout.splitlines() == ["templates template", "lab", ""], told.stderr
