"""Whoever comes from tmpnb finds each of its options, and what is named there exists."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from web.config import Settings
from web.config_docs import tables

DOCUMENT = Path(__file__).parents[2] / "docs" / "from-tmpnb.md"
#: What tmpnb's ``--help`` lists, and the variables it reads.
OPTIONS = frozenset(
    """
    cull_period cull_timeout cull_max pool_size pool_name user_length image command redirect_uri
    use_tokens container_ip container_port container_user host_network docker_network
    host_directories extra_hosts mem_limit cpu_shares cpu_quota max_dock_workers docker_version
    assert_hostname static_files port ip admin_port admin_ip allow_origin expose_headers max_age
    allow_credentials allow_methods allow_headers logging log_file_prefix log_to_stderr
    log_file_max_size log_file_num_backups log_rotate_mode log_rotate_when log_rotate_interval
    CONFIGPROXY_AUTH_TOKEN CONFIGPROXY_ENDPOINT API_AUTH_TOKEN ADMIN_AUTH_TOKEN DOCKER_HOST
    DOCKER_TLS_VERIFY DOCKER_CERT_PATH
    """.split()
)
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.*?) ?\|$", re.MULTILINE)
_KEY = re.compile(r"`([a-z][a-z_]+)`")


def rows() -> Iterator[tuple[str, str, str]]:
    for found in _ROW.finditer(DOCUMENT.read_text()):
        yield found[1], found[2], found[3]


def test_every_option_of_tmpnb_has_a_row() -> None:
    named = [option for option, _, _ in rows()]

    assert set(named) == OPTIONS
    assert len(named) == len(OPTIONS)


def test_what_was_dropped_is_dropped_for_a_reason() -> None:
    assert [option for option, now, why in rows() if now == "dropped" and not why] == []


def test_every_counterpart_is_a_setting() -> None:
    known = {row.key for _, _, table in tables() for row in table}

    named = {key for _, now, _ in rows() for key in _KEY.findall(now)}

    assert named - known == set()


def test_the_example_is_a_configuration() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)

    settings = Settings(**tomllib.loads(example))

    assert settings.pools["minimal"].size == 10
