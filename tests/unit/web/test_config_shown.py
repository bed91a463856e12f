"""The settings in force: all, each with its source, and no secret in any form."""

import json
import tomllib
from pathlib import Path

import pytest

from web.config import secret_settings
from web.config_check import check
from web.config_errors import ConfigError
from web.config_shown import shown, toml
from web.config_sources import gather, load
from web.secrets_masked import MASK

FILE = """
ssl_key_passphrase = "planted-passphrase"
[docker]
url = "tcp://me:planted-docker@h:1/?password=planted-query"
[culling]
idle_timeout = "never"
[templates.course]
image = "course:1"
command = ["run", "--token={token}", "--password=planted-flag", "--api-key", "planted-word"]
[templates.course.env]
DB_PASSWORD = "planted-env"
github_token = "planted-lower"
DATABASE = "postgres://me:planted-url@h/db"
PLAIN = "seen"
[templates.line]
image = "line:1"
command = "exec run --secret planted-line --token {token}"
[[templates.line.services]]
name = "db"
version = "15"
params = { password_of_admin = "planted-wanted", database = "seen" }
[services.db]
image = "db:{version}"
versions = ["15"]
port = 5432
params = { password_of_admin = "planted-param", database = "seen" }
env = { DB_PASSWORD = "planted-companion" }
exports = { DB_TOKEN = "planted-export", URL = "db://me:planted-address@h" }
"""
ENVIRON = {"TMPENV_API_KEY": "planted-key", "TMPENV_SECRET_KEY": "planted-secret"}
FLAGS = {"redis_url": "redis://me:planted-redis@h/0?password=planted-option", "port": 9}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tmpenv.toml"
    path.write_text(f'ssl_cert = "{tmp_path}/none.pem"\n{FILE}')
    return path


def test_no_secret_is_shown_in_any_form(file: Path) -> None:
    settings = shown(gather(flags=FLAGS, config=file, environ=ENVIRON))

    for text in (toml(settings), json.dumps([one.value for one in settings]), repr(settings)):
        assert "planted" not in text
        assert "seen" in text
        assert "--token={token}" in text


@pytest.mark.parametrize("setting", sorted(secret_settings()), ids=".".join)
def test_each_secret_is_masked_and_may_be_kept_in_a_file(
    setting: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("unix:///planted\n" if setting == ("redis_url",) else "planted\n")
    variable = f"TMPENV_{'__'.join(setting).upper()}_FILE"

    gathered = gather(environ={variable: str(file), "TMPENV_SSL_CERT": "/cert.pem"})

    (found,) = [one for one in shown(gathered) if one.location == setting]
    assert found.source == variable
    assert setting == ("redis_url",) or found.value == MASK


def test_every_setting_names_its_source(file: Path) -> None:
    secret = file.with_name("secret")
    secret.write_text("planted")
    environ = {"TMPENV_API_KEY": "k", "TMPENV_SECRET_KEY_FILE": str(secret)}

    settings = shown(gather(flags=FLAGS, config=file, environ=environ))

    source = {one.location: one.source for one in settings}
    assert source[("port",)] == "--port"
    assert source[("api_key",)] == "TMPENV_API_KEY"
    assert source[("secret_key",)] == "TMPENV_SECRET_KEY_FILE"
    assert source[("culling", "idle_timeout")] == str(file)
    assert source[("culling", "max_age")] == "default"
    assert source[("templates", "course", "env", "PLAIN")] == str(file)
    assert source[("pools", "course", "size")] == "default"


def test_what_is_shown_is_read_again_as_the_same_settings(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text(
        '[templates.course]\nimage = "course:1"\nmemory = "2G"\nmax_age = "never"\n'
        '[templates.course.env]\nA = "x\\"\\n#"\n[pools.course]\nsize = 3\n'
        '[[templates.course.services]]\nname = "db"\nversion = "15"\nparams = { size = "1G" }\n'
        '[services.db]\nimage = "db:{version}"\nversions = ["15"]\nport = 1\n'
        '[services.db.params]\nsize = "2G"\n'
    )
    gathered = gather(config=config, environ={"TMPENV_PROXY__CORS_ORIGINS": "https://a, https://b"})

    text = toml(shown(gathered))

    again = tmp_path / "b.toml"
    again.write_text(text)
    told = load(config=again, environ={}).model_dump()
    wanted = gathered.settings.model_dump() | {"state_dir": gathered.settings.state}
    assert told == wanted
    assert tomllib.loads(text)["pools"]["course"]["size"] == 3


def test_a_secret_of_the_wrong_kind_is_not_repeated(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text("[templates.a.env]\nDB_PASSWORD = 31337\n")

    with pytest.raises(ConfigError) as error:
        load(config=config, environ={})

    assert "DB_PASSWORD" in str(error.value)
    assert "31337" not in str(error.value)


def test_a_check_names_everything_that_serve_would_meet_as_it_starts(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("")
    config = tmp_path / "a.toml"
    config.write_text(
        f'backend = "process"\nssl_cert = "{tmp_path}/none.pem"\nstate_dir = "{tmp_path}"\n'
        "port = 9\nmetrics_port = 9\n"
        '[templates.a]\nimage = "a"\n[templates.b]\nimage = "b"\n[templates.c]\ncommand = "c"\n'
    )

    with pytest.raises(ConfigError) as error:
        check(load(config=config, environ={}))

    told = "\n".join(error.value.lines)
    for words in ("none.pem", "templates.a.command", "templates.b.command", "api-key holds no"):
        assert words in told
    assert "metrics_port: 9" in told
    assert "templates.c" not in told


def test_a_check_of_what_is_right_says_nothing_and_makes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    state = tmp_path / "state"
    config.write_text(f'state_dir = "{state}"\nbackend = "docker"\n[templates.a]\nimage = "a"\n')

    check(load(config=config, environ={}))

    assert not state.exists()
