"""Settings are gathered from their sources, and a mistake is told where it was made."""

from datetime import timedelta
from pathlib import Path

import pytest

from spawner.units import NEVER
from web.config import Settings
from web.config_errors import ConfigError
from web.config_sources import load


def file(directory: Path, text: str) -> Path:
    path = directory / "tmpenv.toml"
    path.write_text(text)
    return path


def mistakes(config: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(config=config, environ=environ)
    return caught.value.lines


def test_everything_has_a_default() -> None:
    settings = load(environ={})

    assert (settings.host, settings.port, settings.backend) == ("127.0.0.1", 8000, "auto")
    assert settings.culling.idle_timeout == timedelta(hours=1)


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    config = file(tmp_path, 'port = 1\nhost = "a"\ninstance = "x"\n[culling]\nmax_age = "1m"\n')

    settings = load(
        flags={"port": 3, "host": None},
        config=config,
        environ={"TMPENV_PORT": "2", "TMPENV_HOST": "b", "TMPENV_CULLING__IDLE_TIMEOUT": "9"},
    )

    assert (settings.port, settings.host, settings.instance) == (3, "b", "x")
    assert settings.culling.max_age == timedelta(minutes=1)
    assert settings.culling.idle_timeout == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("given", "mount"),
    [
        ("/", "/"),
        ("", "/"),
        ("/lab1/", "/lab1/"),
        ("lab1", "/lab1/"),
        ("/lab1", "/lab1/"),
        ("/a/b-c_d.e~/", "/a/b-c_d.e~/"),
        ("/.well/..known/", "/.well/..known/"),
    ],
)
def test_a_base_url_begins_and_ends_with_a_slash(given: str, mount: str) -> None:
    assert load(environ={"TMPENV_BASE_URL": given}).base_url == mount


@pytest.mark.parametrize(
    "given", ["/a/../b/", "/./", "/..", "/a//b/", "/a%2Fb/", "/a b/", "/é/", "/a?b/", "/a;b/",
              "https://example.org/lab1/", "/a\n/", "/{x}/"],
)  # fmt: skip
def test_a_base_url_that_could_be_spelled_otherwise_is_refused(given: str) -> None:
    (line,) = mistakes(TMPENV_BASE_URL=given)

    assert line.startswith(f'tmpenv: TMPENV_BASE_URL: "{given}" is no path of segments of ')


def test_a_template_is_named_by_its_table(tmp_path: Path) -> None:
    config = file(tmp_path, '[templates.r]\nimage = "r:1"\n[pools.r]\nsize = 3\n')

    settings = load(config=config, environ={})

    assert settings.templates["r"].name == "r"
    assert settings.pools["r"].size == 3


def test_variables_reach_into_tables_and_lists() -> None:
    settings = load(
        environ={
            "TMPENV_TEMPLATES__R__IMAGE": "r:1",
            "TMPENV_TEMPLATES__R__ENV__MODE": "x",
            "TMPENV_TEMPLATES__R__COMMAND": '["run", "{port}"]',
            "TMPENV_CULLING__ACTIVITY_COUNTS": "http, ws_out",
            "TMPENV_CULLING__MAX_AGE": "never",
        }
    )

    assert settings.templates["r"].env == {"MODE": "x"}
    assert settings.templates["r"].command == ("run", "{port}")
    assert settings.culling.activity_counts == ("http", "ws_out")
    assert settings.culling.max_age == NEVER


def test_a_secret_is_read_from_a_file_and_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")

    settings = load(environ={"TMPENV_API_KEY_FILE": str(tmp_path / "key")})

    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


def test_inside_an_environment_its_own_variables_are_not_settings() -> None:
    told = {"TMPENV_ID": "a", "TMPENV_BASE_PATH": "/user/a/", "TMPENV_PORT": "8888"}

    assert load(environ=told).port == 8000
    assert load(environ={"TMPENV_PORT": "8888"}).port == 8888


def test_each_instance_keeps_its_state_apart() -> None:
    assert load(environ={"TMPENV_INSTANCE": "two"}).state.parts[-2:] == ("tmpenv", "two")


def test_an_unknown_key_names_the_nearest_right_one(tmp_path: Path) -> None:
    config = file(tmp_path, '[culling]\nidle_timout = "1h"\n')

    assert mistakes(config) == [
        f'tmpenv: {config}: culling.idle_timout: unknown key; did you mean "idle_timeout"?'
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'backend = "dokcer"',
            'backend: "dokcer" is not one of auto, process, docker; did you mean "docker"?',
        ),
        ("[templates.x]\nimge = 1", 'templates.x.imge: unknown key; did you mean "image"?'),
        ("[pools.x]\nsize = 1", "pools.x: there is no such template; known here: jupyter"),
        (
            '[templates.x]\nauth = "urls"',
            'templates.x.auth: "urls" is not one of proxy, cookie, url, none; did you mean "url"?',
        ),
        (
            'port = "many"',
            'port: should be a valid integer, unable to parse string as an integer, not "many"',
        ),
        (
            '[culling]\nmax_age = "soon"',
            'culling.max_age: "soon" is no duration: write 90s, 10m, 2h or 1d',
        ),
        (
            '[templates.x]\nurlpath = "../x"',
            'templates.x: "../x" must be relative to /user/<id>/ and stay below it',
        ),
        (
            (
                'backend = "docker"\ndocker.reach = "loopback"\n'
                '[templates.x]\nimage = "x"\negress = "none"'
            ),
            (
                'templates.x.egress: only "open" can be had where environments are reached by '
                'loopback; set egress = "open", or reach = "address" in [docker]'
            ),
        ),
        (
            'default_template = "jupiter"',
            'default_template: there is no template "jupiter"; did you mean "jupyter"?',
        ),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    config = file(tmp_path, text)

    assert mistakes(config) == [f"tmpenv: {config}: {line}"]


def test_several_mistakes_are_a_line_each(tmp_path: Path) -> None:
    config = file(tmp_path, "prot = 1\nhots = 2\n")

    assert len(mistakes(config, TMPENV_BAKCEND="docker")) == 3


def test_services_that_are_not_there_are_told_by_their_template(tmp_path: Path) -> None:
    config = file(
        tmp_path,
        '[templates.a]\nimage = "x"\nservices = [{ name = "postgers" }]\n'
        '[services.postgres]\nimage = "postgres"\nport = 5432\n',
    )

    (line,) = mistakes(config)

    assert line.startswith(f"tmpenv: {config}: templates.a.services: ")
    assert line.endswith('there is no service "postgers"; did you mean "postgres"?')


def test_services_cannot_be_had_from_processes(tmp_path: Path) -> None:
    config = file(
        tmp_path,
        'backend = "process"\n[templates.a]\ncommand = "x"\nservices = [{ name = "redis" }]\n'
        '[services.redis]\nimage = "redis"\nport = 6379\n',
    )

    (line,) = mistakes(config)

    assert line.startswith(f"tmpenv: {config}: templates.a.services: none can be had")


def test_a_mistake_in_a_variable_names_the_variable() -> None:
    assert mistakes(TMPENV_CULING__MAX_AGE="1h") == [
        "tmpenv: TMPENV_CULING__MAX_AGE: is no setting; did you mean TMPENV_CULLING?"
    ]
    assert mistakes(TMPENV_CULLING__MAXAGE="1h") == [
        'tmpenv: TMPENV_CULLING__MAXAGE: unknown key; did you mean "max_age"?'
    ]


def test_a_file_that_is_no_toml_says_the_line(tmp_path: Path) -> None:
    config = file(tmp_path, "port = 1\nhost =\n")

    assert "line 2" in mistakes(config)[0]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "no.toml") == [
        f"tmpenv: {tmp_path / 'no.toml'}: cannot be read: No such file or directory"
    ]


def test_a_bad_secret_is_not_repeated(tmp_path: Path) -> None:
    config = file(tmp_path, "api_key = 12345\n")

    assert "12345" not in mistakes(config)[0]


def test_every_setting_is_described() -> None:
    sections = ("culling", "pages", "limits", "tmpnb", "docker", "proxy", "api", "build")
    plain = {name: f for name, f in Settings.model_fields.items() if name not in sections}

    assert all(field.description for field in plain.values())


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ("envs.example.org", "envs.example.org"),
        ("Envs.Example.ORG.", "envs.example.org"),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("", ""),
    ],
)
def test_a_domain_of_environments_is_kept_in_one_form(given: str, domain: str) -> None:
    settings = load(environ={"TMPENV_ENVIRONMENTS_DOMAIN": given})

    assert settings.environments_domain == domain


@pytest.mark.parametrize(
    "domain",
    ["*.envs.example", "https://envs.example", "envs.example:8000", "a..b", "127.0.0.1", "-a.b"],
)
def test_what_is_no_domain_is_told_with_an_example(domain: str) -> None:
    (line,) = mistakes(TMPENV_ENVIRONMENTS_DOMAIN=domain)

    assert line.startswith(f'tmpenv: TMPENV_ENVIRONMENTS_DOMAIN: "{domain}" is no domain')


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://Lab.Example/", "https://lab.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_kept_in_one_form(given: str, origin: str) -> None:
    assert load(environ={"TMPENV_SERVICE_ORIGIN": given}).service_origin == origin


@pytest.mark.parametrize("origin", ["lab.example", "https://a/b", "https://a;b", "ftp://a"])
def test_what_is_no_origin_is_told_with_an_example(origin: str) -> None:
    (line,) = mistakes(TMPENV_SERVICE_ORIGIN=origin)

    assert f'"{origin}" is no origin: write https://example.org' in line
