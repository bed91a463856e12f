"""What a companion is run with, and what a template may not ask for."""

import pytest
from pydantic import ValidationError

from spawner.errors import UnsupportedService
from spawner.identity import Tokens
from spawner.model import Template
from spawner.services import ServiceRecipe, companions_of, faults, password_of

POSTGRES = ServiceRecipe(
    image="registry.example.org/postgres:{version}",
    versions=("15", "16"),
    params={"database": "course", "heap_mem": "1G"},
    command=("postgres", "-c", "work_mem={heap_mem}", "{unknown}"),
    env={"POSTGRES_DB": "{database}", "POSTGRES_PASSWORD": "{password}"},
    exports={"DATABASE_URL": "postgresql://postgres:{password}@{host}:{port}/{database}"},
    ready="pg_isready -d {database}",
    port=5432,
)
REDIS = ServiceRecipe(image="redis", port=6379)
SERVICES = {"postgres": POSTGRES, "redis": REDIS}
KEY = Tokens("secret").services("a1")


def template(*services: object, **changes: object) -> Template:
    return Template.model_validate({"name": "course", "services": services} | changes)


def test_a_companion_is_filled_with_its_version_params_and_password() -> None:
    wanted = {"name": "postgres", "version": "16", "params": {"database": "lab"}}

    (companion,) = companions_of(template(wanted), SERVICES, KEY)

    secret = password_of(KEY, "postgres")
    assert companion.image == "registry.example.org/postgres:16"
    assert companion.command == ("postgres", "-c", "work_mem=1G", "{unknown}")
    assert companion.ready == ("/bin/sh", "-c", "pg_isready -d lab")
    assert companion.env == {"POSTGRES_DB": "lab", "POSTGRES_PASSWORD": secret}
    assert companion.exports == {
        "DATABASE_URL": f"postgresql://postgres:{secret}@postgres:5432/lab"
    }


def test_without_a_version_it_is_the_first() -> None:
    first, second = companions_of(template({"name": "postgres"}, {"name": "redis"}), SERVICES)

    assert (first.image, second.image) == ("registry.example.org/postgres:15", "redis")


def test_a_value_that_looks_like_a_placeholder_is_left_as_it_is() -> None:
    recipe = ServiceRecipe(image="x", port=1, params={"a": "{b}", "b": "2"}, env={"X": "{a}"})

    (companion,) = companions_of(template({"name": "x"}), {"x": recipe})

    assert companion.env == {"X": "{b}"}


def test_each_environment_and_each_service_has_a_password_of_its_own() -> None:
    other = Tokens("secret").services("a2")

    secrets = {password_of(key, name) for key in (KEY, other) for name in ("postgres", "redis")}

    assert len(secrets) == 4
    assert Tokens("secret").services("a1") == KEY


def test_a_secret_is_in_no_representation() -> None:
    (companion,) = companions_of(template({"name": "postgres"}), SERVICES, KEY)

    assert companion.password not in repr(companion)


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ({"name": "postgers"}, 'there is no service "postgers"; did you mean "postgres"?'),
        ({"name": "mysql"}, 'there is no service "mysql"; known here: postgres, redis'),
        (
            {"name": "postgres", "version": "9.4"},
            'the service "postgres" has no version "9.4"; known here: 15, 16',
        ),
        (
            {"name": "redis", "version": "7"},
            'the service "redis" has no version "7"; it has none to choose from',
        ),
        (
            {"name": "postgres", "params": {"databse": "x"}},
            'the service "postgres" has no param "databse"; did you mean "database"?',
        ),
        (
            {"name": "redis", "params": {"a": "x"}},
            'the service "redis" has no param "a"; it has none',
        ),
    ],
)
def test_what_the_catalogue_does_not_have_is_told(wanted: object, fault: str) -> None:
    asking = template(wanted)

    assert list(faults(asking, SERVICES)) == [fault]
    with pytest.raises(UnsupportedService, match=fault[1:].rstrip("?")):
        companions_of(asking, SERVICES)


@pytest.mark.parametrize("value", ["a b", "$(id)", "a;b", "--flag", "a'b", "x\n", "é", [1], None])
def test_a_param_that_could_be_more_than_a_word_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        template({"name": "postgres", "params": {"database": value}})


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (1.5, "1.5"), (True, "true"), ("", "")])
def test_a_param_may_be_a_number_or_a_truth(value: object, text: str) -> None:
    (wanted,) = template({"name": "postgres", "params": {"database": value}}).services

    assert wanted.params == {"database": text}


def test_one_service_cannot_be_asked_for_twice() -> None:
    with pytest.raises(ValidationError, match='the service "redis" is there twice'):
        template({"name": "redis"}, {"name": "redis"})


def test_other_services_are_another_recipe() -> None:
    plain, with_redis = template(), template({"name": "redis"})

    assert plain.digest != with_redis.digest
    assert with_redis.digest == template({"name": "redis"}, title="Other").digest


@pytest.mark.parametrize(
    "changes", [{"params": {"password": "x"}}, {"image": "x:{version}"}, {"image": ""}]
)
def test_a_recipe_that_means_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServiceRecipe.model_validate({"image": "x", "port": 1} | changes)
