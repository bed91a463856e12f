"""The Binder API's templates: registered, read, changed and removed over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from spawner.model import Auth, Template
from tests.integration.web.binder import Binder
from tests.integration.web.conftest import API_KEY, Open
from tests.waiting import eventually

IMAGE = {"image-name": "Org/Repo:3"}
WHOLE: dict[str, Any] = {
    "name": "Org-Repo",
    "image-name": "org-repo",
    "image-source": "registry.test/org/repo:abc",
    "limits": {"memory": "512MB", "cpu": "10", "pids": 100, "disk": "2Gi"},
    "services": [],
    "command": ["jupyter", "--port={port}"],
    "port": 8889,
    "cull-timeout": 3600,
    "env": {"API_TOKEN": "x y"},
    "auth": "url",
    "urlpath": "tree",
    "title": "The Repo",
}


@pytest.fixture
async def binder(open_site: Open) -> AsyncIterator[Binder]:
    async with open_site() as site:
        yield Binder(site)


async def test_d11_a_template_without_a_name_is_named_after_its_image(binder: Binder) -> None:
    status, made = await binder.ask("POST", "/templates", IMAGE)

    assert status == 200
    assert made["name"] == "org-repo-3"
    assert made["image-name"] == made["image-source"] == "Org/Repo:3"
    assert made["time-created"] == made["time-modified"]
    assert made["time-created"].endswith("Z")
    assert "limits" not in made
    assert (made["services"], made["command"], made["port"]) == ([], [], 8888)


@pytest.mark.parametrize("body", [WHOLE, {"template": WHOLE}])
async def test_d11_flat_or_wrapped_what_was_said_is_shown_as_it_was_said(
    binder: Binder, body: Any
) -> None:
    _, made = await binder.ask("POST", "/templates/", body)
    _, read = await binder.ask("GET", "/api/templates/Org-Repo/")

    assert made == read
    assert {key: read[key] for key in WHOLE} == {**WHOLE, "name": "org-repo"}
    template = binder.site.service.templates["org-repo"]
    assert (template.memory, template.cpus, template.pids) == (512 << 20, 10, 100)
    assert template.disk == 2 << 30
    assert template.idle_timeout is not None
    assert template.idle_timeout.total_seconds() == 3600
    assert (template.image, template.port) == ("registry.test/org/repo:abc", 8889)


async def test_d11_registering_again_replaces_it_and_keeps_when_it_was_made(
    binder: Binder,
) -> None:
    _, first = await binder.ask("POST", "/templates", WHOLE)

    async def is_later() -> Any:
        _, made = await binder.ask("POST", "/templates", {**IMAGE, "name": "org-repo"})
        return made if made["time-modified"] != first["time-modified"] else None

    second = await eventually(is_later)

    assert second["time-created"] == first["time-created"] < second["time-modified"]
    assert second["image-source"] == "Org/Repo:3"
    assert "limits" not in second


@pytest.mark.parametrize(
    ("limits", "key", "value"),
    [
        ({"memory": "4g"}, "memory", 4 << 30),
        ({"memory": "512Mi"}, "memory", 512 << 20),
        ({"memory": 1 << 29}, "memory", 512 << 20),
        ({"cpu": "0.5"}, "cpus", 0.5),
        ({"cpu": "500m"}, "cpus", 0.5),
        ({"cpu": 2}, "cpus", 2),
        ({"pids": "64"}, "pids", 64),
    ],
)
async def test_d14_limits_are_read_in_every_form_and_shown_in_that_form(
    binder: Binder, limits: dict[str, Any], key: str, value: float
) -> None:
    _, made = await binder.ask("POST", "/templates", {**IMAGE, "name": "t", "limits": limits})

    assert getattr(binder.site.service.templates["t"], key) == value
    assert made["limits"] == ({"pids": 64} if key == "pids" else limits)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "required parameters for this endpoint: image-name"),
        ({"imge-name": "x", "image-name": "x"}, "did you mean image-name?"),
        ({"image-name": "x", "limits": {"memory": "much"}}, "limits.memory"),
        ({"image-name": "x", "limits": {"memory": 1}}, "limits.memory"),
        ({"image-name": "x", "limits": {"memory": True}}, "limits.memory"),
        ({"image-name": "x", "limits": {"cpu": "-1"}}, "limits.cpu"),
        ({"image-name": "x", "limits": {"cpu": 0}}, "limits.cpu"),
        ({"image-name": "x", "limits": {"gpu": 1}}, "limits.gpu"),
        ({"image-name": "x", "limits": []}, "limits"),
        ({"image-name": "x", "cull-timeout": -1}, "cull-timeout"),
        ({"image-name": "x", "cull-timeout": 1e300}, "cull-timeout"),
        ({"image-name": "x", "port": 99999}, "port"),
        ({"image-name": "x", "urlpath": "../up"}, "stay below"),
        ({"image-name": "x", "auth": "open"}, "auth"),
        ({"image-name": "x", "env": {"1": "x"}}, "env"),
        ({"image-name": "x", "name": "no name"}, "name: must be 1 to 63 of a-z"),
        ({"image-name": "x" * 64}, "name: must be 1 to 63 of a-z"),
        ({"image-name": "///"}, "name: must be 1 to 63 of a-z"),
        ({"image-name": "x", "services": [{"name": "/"}]}, "services"),
        ({"image-name": "x", "services": [{"version": "1"}]}, "services"),
        ({"template": []}, "image-name"),
    ],
)
async def test_what_cannot_be_a_template_is_refused_and_named(
    binder: Binder, body: Any, told: str
) -> None:
    status, problem = await binder.ask("POST", "/templates", body)

    assert (status, problem["type"]) == (422, "malformedRequest")
    assert told in problem["error"]
    assert list(binder.site.service.templates) == ["lab"]


SPARK = {"image": "spark:{version}", "versions": ["1.4", "1.3"], "port": 7077}
SERVICES = {"spark": {**SPARK, "params": {"heap_mem": "1g"}}}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"name": "sparc"}, 'no service "sparc"'),
        ({"name": "spark", "version": "2.0"}, 'no version "2.0"'),
        ({"name": "spark", "params": {"heap_men": "2g"}}, 'no param "heap_men"'),
    ],
)
async def test_services_that_there_are_not_are_refused(
    open_site: Open, wanted: Any, told: str
) -> None:
    async with open_site(services=SERVICES) as site:
        body = {"image-name": "x", "services": [wanted]}

        status, problem = await Binder(site).ask("POST", "/templates", body)

        assert (status, problem["type"]) == (422, "unsupportedService")
        assert told in problem["error"]


async def test_services_are_shown_as_they_were_asked_for(open_site: Open) -> None:
    async with open_site(services=SERVICES) as site:
        wanted = {"name": "spark", "version": "1.3", "params": {"heap_mem": "2g"}}
        body = {"image-name": "x", "services": [wanted]}

        status, made = await Binder(site).ask("POST", "/templates", body)
        _, kept = await Binder(site).ask("PUT", "/templates/x", {"port": 8889})

        assert (status, made["services"], kept["services"]) == (200, [wanted], [wanted])
        (asked,) = site.service.templates["x"].services
        assert (asked.version, asked.params) == ("1.3", {"heap_mem": "2g"})


async def test_names_of_fields_are_taken_in_every_case(binder: Binder) -> None:
    for number, name in enumerate(("image-name", "imageName", "image_name")):
        status, made = await binder.ask("POST", "/templates", {name: "x", "Name": f"t{number}"})
        assert (status, made["image-name"]) == (200, "x")


async def test_a_change_keeps_what_it_does_not_name(binder: Binder) -> None:
    await binder.ask("POST", "/templates", WHOLE)

    status, changed = await binder.ask(
        "PUT", "/templates/org-repo", {"command": "start {port}", "limits": None}
    )

    assert status == 200
    assert changed["command"] == "start {port}"
    assert "limits" not in changed
    kept = WHOLE.keys() - {"command", "limits", "name"}
    assert {key: changed[key] for key in kept} == {key: WHOLE[key] for key in kept}
    assert binder.site.service.templates["org-repo"].memory == 1 << 30


async def test_what_was_read_can_be_put_back(binder: Binder) -> None:
    await binder.ask("POST", "/templates", WHOLE)
    _, read = await binder.ask("GET", "/templates/org-repo")
    before = binder.site.service.templates["org-repo"]

    status, _ = await binder.ask("PUT", "/templates/org-repo", read)
    again, _ = await binder.ask("POST", "/templates", read)

    assert status == again == 200
    assert binder.site.service.templates["org-repo"] == before


async def test_another_image_is_run_when_another_is_named(binder: Binder) -> None:
    await binder.ask("POST", "/templates", WHOLE)

    _, changed = await binder.ask("PUT", "/templates/org-repo", {"image-name": "other:2"})

    assert changed["image-source"] == "other:2"
    assert binder.site.service.templates["org-repo"].image == "other:2"


async def test_a_change_keeps_what_only_the_operator_can_say(binder: Binder) -> None:
    walled = Template(name="walled", image="w:1", egress="none", max_age=60, env={"A": "b"})
    await binder.site.service.catalogue.put(walled)

    status, _ = await binder.ask("PUT", "/templates/walled", {"port": 1234})

    changed = binder.site.service.templates["walled"]
    assert status == 200
    assert changed == walled.model_copy(update={"port": 1234})


async def test_a_change_under_another_name_is_refused(binder: Binder) -> None:
    await binder.ask("POST", "/templates", WHOLE)

    status, problem = await binder.ask("PUT", "/templates/org-repo", {"name": "other"})

    assert (status, problem["type"]) == (422, "malformedRequest")


async def test_what_is_removed_is_gone(binder: Binder) -> None:
    await binder.ask("POST", "/templates", WHOLE)

    status, removed = await binder.ask("DELETE", "/templates/Org-Repo")
    gone = [
        await binder.ask(method, "/templates/org-repo", body)
        for method, body in (("GET", None), ("DELETE", None), ("PUT", {"port": 1}))
    ]

    assert (status, removed["name"]) == (200, "org-repo")
    assert [(code, told["type"]) for code, told in gone] == [(404, "doesNotExist")] * 3


async def test_what_the_configuration_declares_is_shown_and_not_changed(binder: Binder) -> None:
    _, shown = await binder.ask("GET", "/templates/lab")
    answers = [
        await binder.ask("POST", "/templates", {"name": "lab", "image-name": "x"}),
        await binder.ask("PUT", "/templates/lab", {"port": 1}),
        await binder.ask("DELETE", "/templates/lab"),
    ]

    assert shown["declared"] is True
    assert shown["image-name"] == "lab:1"
    assert [(code, told["type"]) for code, told in answers] == [(409, "template_declared")] * 3


async def test_d16_what_was_registered_by_hand_is_complete(binder: Binder) -> None:
    await binder.ask("POST", "/templates", WHOLE)

    assert await binder.ask("GET", "/templates/Org-Repo/status/", key=False) == (
        200,
        {"status": "completed"},
    )
    assert (await binder.ask("GET", "/templates/nosuch/status"))[0] == 404


async def test_d10_one_is_read_without_a_key_and_all_or_a_change_need_one(
    binder: Binder,
) -> None:
    await binder.ask("POST", "/templates", WHOLE)
    public, _ = await binder.ask("GET", "/templates/org-repo", key=False)
    refused = [
        await binder.ask("GET", "/templates", key=False),
        await binder.ask("POST", "/templates", IMAGE, key=False),
        await binder.ask("PUT", "/templates/org-repo", {"port": 1}, key=False),
        await binder.ask("DELETE", "/templates/org-repo", key=False),
        await binder.ask("GET", "/templates", key=False, Authorization="wrong"),
    ]
    listed, documents = await binder.ask("GET", "/templates/")

    assert public == listed == 200
    assert [one["name"] for one in documents] == ["lab", "org-repo"]
    assert refused == [(403, {"type": "unauthorized", "error": "Unauthorized request"})] * 5


async def test_without_read_among_what_is_open_a_template_needs_a_key(open_site: Open) -> None:
    async with open_site(api={"open": ["launch"]}) as site:
        binder = Binder(site)

        statuses = [
            (await binder.ask("GET", "/templates/lab", key=with_key))[0]
            for with_key in (False, True)
        ]

    assert statuses == [403, 200]


@pytest.mark.parametrize("form", ["{}", "token {}", "Token {}", "Bearer {}", "bearer {}"])
async def test_d22_a_key_is_taken_in_every_form(binder: Binder, form: str) -> None:
    status, _ = await binder.ask("GET", "/templates", key=False, Authorization=form.format(API_KEY))

    assert status == 200


async def test_variables_are_shown_only_to_who_could_have_set_them(open_site: Open) -> None:
    secret = Template(name="lab", image="lab:1", env={"API_TOKEN": "secret"})
    async with open_site(templates=(secret,), api={"open": ["read", "template"]}) as site:
        binder = Binder(site)
        keys = site.service.api_keys
        launching, _ = await keys.make("launching", ("launch",), None)
        building, _ = await keys.make("templates", ("template",), None)

        shown = [
            (await binder.ask("GET", path, key=False, **headers))[1]
            for headers in (
                {},
                {"Authorization": launching},
                {"Authorization": building},
                {"Authorization": API_KEY},
            )
            for path in ("/templates/lab",)
        ]
        listed = (await binder.ask("GET", "/templates", key=False))[1]

    assert [one.get("env") for one in shown] == [None, None, *[{"API_TOKEN": "secret"}] * 2]
    assert "secret" not in str(listed)


@pytest.mark.parametrize("auth", list(Auth))
async def test_every_auth_can_be_registered(binder: Binder, auth: Auth) -> None:
    _, made = await binder.ask("POST", "/templates", {**IMAGE, "auth": auth.value})

    assert made["auth"] == auth.value


@pytest.mark.parametrize(
    ("body", "content_type", "status", "kind"),
    [
        (b"{", "application/json", 400, "malformedRequest"),
        (b"", "application/json", 422, "malformedRequest"),
        (b"[]", "application/json", 422, "malformedRequest"),
        (b"image-name=x", "application/x-www-form-urlencoded", 415, "unsupportedMediaType"),
        (b'{"image-name": "%s"}' % (b"x" * 70_000), "application/json", 413, None),
    ],
)
async def test_d26_a_body_that_cannot_be_read_is_told_from_one_that_says_nothing(
    binder: Binder, body: bytes, content_type: str, status: int, kind: str | None
) -> None:
    response = await binder.site.client.post(
        "/templates",
        data=body,
        headers={"Authorization": API_KEY, "Content-Type": content_type},
    )
    told = await response.json()

    assert response.status == status
    assert told["type"] == (kind or told["type"])
    assert told["error"]
