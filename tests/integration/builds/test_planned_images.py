"""What is planned is built, by Docker and with the real pip, and is in the image."""

import asyncio
import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spawner.backends.base import Order
from spawner.model import Template
from tests.buildkit import Workshop, everything, index_of_pip, machine, run
from tests.company import Company, bridge_address, make_authority, open_for_builds
from tests.components import JUPYTER, require
from tests.conda_channel import add_package, add_python
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("docker_is_here")


@pytest.fixture(scope="module")
def docker_is_here() -> None:
    require("jupyter-image", "openssl")


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    scratch = tmp_path / "workspaces"
    scratch.mkdir()
    workshop = Workshop(scratch)
    yield workshop
    workshop.close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "repository"
    directory.mkdir()
    return directory


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_repository_becomes_an_image_and_an_edit_reinstalls_nothing(
    workshop: Workshop, repository: Path
) -> None:
    write(
        repository,
        **{
            "binder/requirements.txt": "iniconfig==2.0.0\n",
            "binder/apt.txt": "# tools\nhello\n",
            "binder/postBuild": "#!/usr/bin/env python3\nimport iniconfig\n"
            "open('built', 'w').write(iniconfig.__name__)\n",
            "binder/start": '#!/bin/sh\nexport STARTED=yes\nexec "$@"\n',
            "notebook.ipynb": "1",
            ".dockerignore": "binder\n",
        },
    )

    first, _ = workshop.build(workshop.plan(repository))
    write(repository, **{"notebook.ipynb": "2"})
    second, printed = workshop.build(workshop.plan(repository))

    told = run(second, "sh", "-c", "hello; cat built notebook.ipynb; id -u; echo $STARTED")
    assert told.split("\n") == ["Hello, world!", "iniconfig21000", "yes"]
    owners = run(second, "find", ".", "-not", "-user", "1000")
    assert owners == ""
    cached = [line for line in printed.splitlines() if line.endswith("CACHED")]
    steps = {line.split()[0]: line for line in printed.splitlines() if "] RUN" in line}
    installs = [
        number for number, line in steps.items() if "apt-get" in line or "pip install" in line
    ]
    assert len(installs) == 2
    assert {line.split()[0] for line in cached} >= set(installs)
    assert first != second


def test_without_any_file_the_image_is_the_base_and_the_contents(
    workshop: Workshop, repository: Path
) -> None:
    write(repository, **{"notebook.ipynb": "1"})

    image, _ = workshop.build(workshop.plan(repository))

    assert run(image, "cat", "notebook.ipynb") == "1"
    assert configuration(image)["Cmd"] == configuration(JUPYTER)["Cmd"]
    assert configuration(image)["User"] == configuration(JUPYTER)["User"]


def test_a_dockerfile_of_the_repositorys_own_is_built_from_its_root(
    workshop: Workshop, repository: Path
) -> None:
    own = f"FROM {JUPYTER}\nCOPY notebook.ipynb /tmp/copied\nENV OWN=yes\n"
    write(repository, **{"binder/Dockerfile": own, "notebook.ipynb": "1", "start": "exit 1"})

    image, _ = workshop.build(workshop.plan(repository))

    assert run(image, "sh", "-c", "cat /tmp/copied; echo $OWN") == "1yes"
    assert (repository / "binder" / "Dockerfile").read_text() == own


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("postBuild", "#!/bin/sh\necho in the middle\nexit 3\n", "in the middle"),
        ("requirements.txt", "./no-such-package\n", "no-such-package"),
    ],
)
def test_a_step_that_fails_fails_the_build(
    workshop: Workshop, repository: Path, name: str, text: str, says: str
) -> None:
    write(repository, **{name: text})
    plan = workshop.plan(repository)

    with pytest.raises(subprocess.CalledProcessError) as raised:
        workshop.build(plan)

    assert says in raised.value.output


def test_a_package_is_installed_with_what_it_needs_before_it(
    workshop: Workshop, repository: Path
) -> None:
    write(
        repository,
        **{
            "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\n[project]\n'
            'name = "course"\nversion = "7"\ndependencies = ["iniconfig==2.0.0"]\n',
            "course.py": "import iniconfig\n",
        },
    )

    image, _ = workshop.build(workshop.plan(repository))

    asked = "import course, importlib.metadata as m; print(m.version('course'), course.__file__)"
    version, file = run(image, "sh", "-c", f'cd / && python3 -c "{asked}"').split()
    assert version == "7"
    assert "site-packages" in file


async def test_an_environment_of_conda_becomes_the_kernel(
    workshop: Workshop, repository: Path, tmp_path: Path
) -> None:
    channel = tmp_path / "channel"
    add_package(channel, "greeting", "1.0", {"share/greeting.txt": "hello from a channel"})
    add_python(channel, "3.11.2")
    async with open_for_builds(Company(channel)) as address:
        write(
            repository,
            **{
                "environment.yml": f"name: course\nchannels:\n  - http://{address}/planted-conda\ndependencies:\n"
                "  - python=3.11\n  - greeting>=1\n  - pip:\n    - iniconfig==2.0.0\n"
            },
        )
        image, printed = await asyncio.to_thread(workshop.build, workshop.plan(repository))

    assert "greeting 1.0" in printed
    prefix = "/opt/environment"
    assert run(image, "cat", f"{prefix}/share/greeting.txt") == "hello from a channel"
    # Where Jupyter itself runs, a notebook's kernel is the environment's Python.
    asked = (
        "from jupyter_client.manager import start_new_kernel\n"
        "kernel, client = start_new_kernel(kernel_name='python3')\n"
        "client.execute_interactive('import iniconfig, sys; print(sys.prefix)', timeout=30)\n"
        "kernel.shutdown_kernel(now=True)\n"
    )
    assert run(image, "/opt/jupyter/bin/python", "-c", asked) == prefix
    assert run(image, "python", "-c", "import sys; print(sys.prefix)") == prefix


async def test_a_companys_network_leaves_no_trace_in_the_image(
    workshop: Workshop, repository: Path, tmp_path: Path
) -> None:
    """The build needs each of the settings to succeed, and its image holds none of them."""
    channel = tmp_path / "channel"
    add_package(channel, "greeting", "1.0", {"share/greeting.txt": "hello"})
    write(
        repository,
        **{
            # Never the same, or Docker would take what an earlier run has made.
            "environment.yml": f"# {uuid.uuid4()}\nchannels: [conda-forge]\n"
            "dependencies:\n  - greeting\n  - pip: [iniconfig==2.0.0]\n",
            "postBuild": "#!/bin/sh\nset -e\n"
            'for name in "$CONDARC" "$NPM_CONFIG_USERCONFIG" "$PIP_CONFIG_FILE"; do\n'
            '    wc -c <"$name"\ndone\n'
            'grep -c BEGIN "$SSL_CERT_FILE"\nprintenv HTTP_PROXY http_proxy | wc -l\n',
        },
    )
    host = bridge_address()
    authority = make_authority(tmp_path, host)
    own = machine()
    bundle = tmp_path / "bundle.pem"
    believed = [Path(str(own["ca_bundle"]))] if "ca_bundle" in own else []
    texts = [file.read_text() for file in (authority.certificate, *believed)]
    bundle.write_text("\n".join(["# planted-ca", *texts]))
    company = Company(channel, index=index_of_pip(), user="u", password="planted-pip")

    async with open_for_builds(company, authority) as address:
        plan = workshop.plan(
            repository,
            ca_bundle=bundle,
            pip_index_url=f"https://u:planted-pip@{address}/simple",
            npm_registry="https://npm.example.org/planted-npm/",
            conda_channels=[f"https://{address}/planted-conda"],
            http_proxy="http://u:planted-proxy@127.0.0.1:9",
            no_proxy=[host, "planted-no-proxy.example.org"],
        )
        image, printed = await asyncio.to_thread(workshop.build, plan)

    assert {"py-rattler", "iniconfig"} <= set(company.asked)
    secret = [b"planted-", address.encode(), authority.certificate.read_bytes().split()[2]]
    found = [
        name
        for name, content in everything(image)
        if any(one in name.encode() or one in content for one in secret)
    ]
    assert found == []
    assert run(image, "cat", "/opt/environment/share/greeting.txt") == "hello"
    assert "planted-" not in printed


def test_a_channel_that_does_not_answer_keeps_its_password_out_of_the_log(
    workshop: Workshop, repository: Path
) -> None:
    write(repository, **{"environment.yml": "dependencies: [greeting]\n"})
    plan = workshop.plan(
        repository, conda_channels=["http://u:planted-conda@127.0.0.1:9/a"], no_proxy=["127.0.0.1"]
    )

    with pytest.raises(subprocess.CalledProcessError) as raised:
        workshop.build(plan)

    assert "environment.yml: " in raised.value.output
    assert "planted-conda" not in raised.value.output


async def test_a_dockerfile_of_the_repositorys_own_finds_the_same_settings(
    workshop: Workshop, repository: Path
) -> None:
    own = (
        f"FROM {JUPYTER}\nRUN --mount=type=secret,id=tmpenv-pip,mode=0444 "
        'wc -l </run/secrets/tmpenv-pip >/tmp/lines && [ "$HTTP_PROXY" = http://planted-proxy ]\n'
    )
    write(repository, Dockerfile=own)
    plan = workshop.plan(
        repository, pip_index_url="https://planted-pip/", http_proxy="http://planted-proxy"
    )

    image, _ = workshop.build(plan)

    assert run(image, "cat", "/tmp/lines") == "2"
    layers = [name for name, content in everything(image) if b"planted-pip" in content]
    assert layers == []


@pytest.mark.parametrize("name", ["binder/start", "Dockerfile"])
async def test_jupyter_runs_by_the_command_that_the_plan_gives(
    workshop: Workshop, repository: Path, name: str
) -> None:
    """As a template's command is run (:class:`spawner.model.Template`), under its base path."""
    own = {"binder/start": '#!/bin/sh\nexec "$@"\n', "Dockerfile": f"FROM {JUPYTER}\n"}
    write(repository, **{name: own[name]})
    plan = workshop.plan(repository)
    image, _ = workshop.build(plan)
    order = Order(
        id="a",
        base_path="/user/a/",
        template=Template(name="t", image=image, command=plan.command),
        token="secret",
    )
    command = order.command(ip="0.0.0.0", port=8888)
    asked = (
        "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8888/user/a/api').status)"
    )

    with running(image, *command) as container:

        async def answers() -> str:
            done = await asyncio.to_thread(
                subprocess.run,
                ["docker", "exec", container, "python3", "-c", asked],
                capture_output=True,
                text=True,
            )
            return done.stdout.strip()

        assert await eventually(answers, within=60, every=0.2) == "200"


async def test_repo2docker_has_its_build_made_by_our_own_engine(
    workshop: Workshop, repository: Path
) -> None:
    write(repository, **{"binder/Dockerfile": f"FROM {JUPYTER}\nCOPY notebook /tmp/copied\n"})
    write(repository, notebook="1")

    image, _ = workshop.build(workshop.plan(repository, builder="repo2docker"))

    assert run(image, "cat", "/tmp/copied") == "1"


def configuration(image: str) -> dict[str, object]:
    shown = subprocess.run(["docker", "inspect", image], check=True, capture_output=True).stdout
    config: dict[str, object] = json.loads(shown)[0]["Config"]
    return config


@contextmanager
def running(image: str, *command: str) -> Iterator[str]:
    """Run a container apart from every network; give its id."""
    started = subprocess.run(
        ["docker", "run", "--detach", "--network=none", image, *command],
        check=True,
        capture_output=True,
        text=True,
    )
    container = started.stdout.strip()
    try:
        yield container
    finally:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", container], check=True, capture_output=True
        )
