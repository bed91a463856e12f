"""The Binder API's applications: launched, looked at, listed and ended over HTTP."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from yarl import URL

from spawner.backends.memory import MemoryBackend
from spawner.backends.memory_faults import HoldsStarts, NeverStarts
from spawner.model import Auth, Phase, Pool, Template
from tests.integration.web.binder import Binder
from tests.integration.web.conftest import API_KEY, LAB, Open
from tests.waiting import eventually

HOUR_MS = 3_600_000
OTHER = Template(name="other", image="other:1")


@pytest.fixture
async def binder(open_site: Open) -> AsyncIterator[Binder]:
    async with open_site(templates=(LAB, OTHER)) as site:
        await site.has_spares(1)
        yield Binder(site)


@pytest.fixture
async def held(open_site: Open) -> AsyncIterator[tuple[Binder, HoldsStarts]]:
    """A site on which nothing starts until its gate is opened."""
    backend = HoldsStarts()
    async with open_site(backend=backend, pool=Pool(size=2, spare=0)) as site:
        yield Binder(site), backend


async def until_status(binder: Binder, application: Any, status: str) -> Any:
    path = f"/applications/{application['template-name']}/{application['id']}"

    async def is_so() -> Any:
        code, shown = await binder.ask("GET", path)
        assert code == 200, shown
        return shown if shown["status"] == status else None

    return await eventually(is_so)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/applications/lab", None),
        ("/applications/Lab/", None),
        ("/api/applications/lab/", {}),
        ("/applications", {"template-name": "lab"}),
        ("/applications/", {"templateName": "lab", "cull-timeout": "3600000"}),
        ("/api/applications/", {"template_name": "lab", "cullTimeout": None}),
        ("/applications/lab", {"template-name": "other"}),
    ],
)
async def test_d17_a_launch_is_taken_in_both_forms_and_the_path_wins(
    binder: Binder, path: str, body: Any
) -> None:
    status, launched = await binder.ask("POST", path, body, key=False)

    assert status == 200
    assert (launched["template-name"], launched["status"]) == ("lab", "deployed")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Length": "0"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json"},
    ],
)
async def test_d17_a_launch_needs_neither_a_body_nor_its_type(
    binder: Binder, headers: dict[str, str]
) -> None:
    response = await binder.site.client.post("/applications/lab", headers=headers)

    assert response.status == 200


async def test_d18_d19_a_spare_is_answered_with_where_it_is(binder: Binder) -> None:
    _, launched = await binder.ask("POST", "/applications/lab", key=False)

    assert launched["location"] == f"/user/{launched['id']}"
    environment = await binder.site.service.find(launched["id"])
    assert environment is not None
    assert environment.phase is Phase.ASSIGNED


async def test_d18_without_a_spare_the_location_comes_when_it_answers(
    held: tuple[Binder, HoldsStarts],
) -> None:
    binder, backend = held
    status, launched = await binder.ask("POST", "/applications/lab", key=False)
    await backend.asked.wait()
    starting = await until_status(binder, launched, "deploying")
    backend.gate.set()
    deployed = await until_status(binder, launched, "deployed")

    assert status == 200
    assert launched["status"] in ("pending", "deploying")
    assert "location" not in launched
    assert "location" not in starting
    assert deployed["location"].startswith("/user/")
    assert deployed["id"] == launched["id"]


async def test_d19_with_a_public_address_the_location_is_whole(open_site: Open) -> None:
    async with open_site(service_origin="https://binder.example") as site:
        await site.has_spares(1)

        _, launched = await Binder(site).ask("POST", "/applications/lab")

    assert launched["location"] == f"https://binder.example/user/{launched['id']}"


async def test_d19_where_environments_have_hosts_the_location_is_there(open_site: Open) -> None:
    async with open_site(environments_domain="envs.example") as site:
        await site.has_spares(1)

        _, launched = await Binder(site).ask("POST", "/applications/lab")

    where = URL(launched["location"])
    assert (where.scheme, where.host) == ("http", f"{launched['id']}.envs.example")
    assert where.path == f"/user/{launched['id']}"


async def test_d19_under_a_mount_the_location_is_too(open_site: Open) -> None:
    async with open_site(base_url="/lab1/") as site:
        await site.has_spares(1)

        status, launched = await Binder(site).ask("POST", "/lab1/api/applications/lab")

    assert status == 200
    assert launched["location"] == f"/lab1/user/{launched['id']}"


@pytest.mark.parametrize(("auth", "opens"), [(Auth.URL, "?token="), (Auth.COOKIE, "?")])
async def test_the_location_of_a_guarded_one_lets_in_and_its_address_tells_nobody_how(
    open_site: Open, auth: Auth, opens: str
) -> None:
    guarded = LAB.model_copy(update={"auth": auth})
    async with open_site(templates=(guarded,)) as site:
        await site.has_spares(1)
        binder = Binder(site)
        _, launched = await binder.ask("POST", "/applications/lab", key=False)
        _, again = await binder.ask("GET", f"/applications/lab/{launched['id']}", key=False)
        address = launched["location"].split("/")[2]
        by_address, refusal = await binder.ask("GET", f"/applications/lab/{address}", key=False)
        _, seen = await binder.ask("GET", f"/applications/lab/{address}")

    assert opens in launched["location"]
    assert opens in again["location"]
    assert address not in (launched["id"], "")
    assert (by_address, refusal["type"]) == (403, "unauthorized")
    assert launched["id"] not in str(seen)
    assert seen["location"] == f"/user/{address}"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/applications/nosuch", None, 404, "doesNotExist"),
        ("POST", "/applications", {"template-name": "nosuch"}, 404, "doesNotExist"),
        ("POST", "/applications", None, 422, "malformedRequest"),
        ("POST", "/applications", {"template-name": 3}, 422, "malformedRequest"),
        ("POST", "/applications/lab", {"cull-timeout": "soon"}, 422, "malformedRequest"),
        ("POST", "/applications/lab", {"cull-timeout": 0}, 422, "malformedRequest"),
        ("POST", "/applications/lab", {"cull-timeout": True}, 422, "malformedRequest"),
        ("POST", "/applications/lab", {"cull-timeout": 1e300}, 422, "malformedRequest"),
        ("POST", "/applications/lab", {"cul-timeout": 1}, 422, "malformedRequest"),
        ("POST", "/applications/lab", [], 422, "malformedRequest"),
        ("GET", "/applications/nosuch", None, 404, "doesNotExist"),
        ("GET", "/applications/lab/nosuch", None, 404, "noRecord"),
        ("DELETE", "/applications/lab/nosuch", None, 404, "noRecord"),
        ("GET", "/applications/lab/nosuch/logs", None, 404, "noRecord"),
        ("GET", "/applications?status=odd", None, 422, "malformedRequest"),
    ],
)
async def test_what_cannot_be_done_is_told_with_type_and_error_and_nothing_is_launched(
    binder: Binder, method: str, path: str, body: Any, status: int, kind: str
) -> None:
    answer, problem = await binder.ask(method, path, body)

    assert (answer, problem["type"]) == (status, kind)
    assert problem["error"]
    assert (await binder.ask("GET", "/applications"))[1] == []


async def test_d28_an_id_under_another_template_is_no_record(binder: Binder) -> None:
    _, launched = await binder.ask("POST", "/applications/lab")

    answer = await binder.ask("GET", f"/applications/other/{launched['id']}")

    assert answer == (
        404,
        {
            "type": "noRecord",
            "error": "There is no record for that template/ID combination",
        },
    )


async def test_a_spare_is_nobodys_application(binder: Binder) -> None:
    (spare,) = [one for one in await binder.site.service.environments() if one.template == "lab"]

    assert (await binder.ask("GET", f"/applications/lab/{spare.id}"))[0] == 404


async def test_d28_what_ended_is_told_as_deleted(binder: Binder) -> None:
    _, launched = await binder.ask("POST", "/applications/lab")
    path = f"/applications/lab/{launched['id']}"

    status, ended = await binder.ask("DELETE", path)
    again, _ = await binder.ask("DELETE", path)
    shown = await until_status(binder, launched, "deleted")

    assert status == again == 200
    assert ended["status"] == "deleted"
    assert "location" not in shown


async def test_ending_needs_the_key_or_the_token_of_the_launch(binder: Binder) -> None:
    _, launched = await binder.ask("POST", "/applications/lab", key=False)
    path = f"/applications/lab/{launched['id']}"

    without = await binder.ask("DELETE", path, key=False)
    wrong = await binder.ask("DELETE", path, key=False, Authorization="token wrong")
    log_without = await binder.ask("GET", f"{path}/logs", key=False)
    with_token = await binder.ask(
        "DELETE", path, key=False, Authorization=f"token {launched['token']}"
    )

    assert without == wrong == log_without
    assert without == (403, {"type": "unauthorized", "error": "Unauthorized request"})
    assert (with_token[0], with_token[1]["status"]) == (200, "deleted")


async def test_a_launch_that_waits_is_ended_by_its_token(held: tuple[Binder, HoldsStarts]) -> None:
    binder, _ = held
    _, launched = await binder.ask("POST", "/applications/lab", key=False)
    path = f"/applications/lab/{launched['id']}"

    status, ended = await binder.ask("DELETE", path, key=False, Authorization=launched["token"])

    assert (status, ended["status"]) == (200, "deleted")
    assert (await binder.site.pool("lab")).waiting == 0
    assert (await binder.ask("GET", f"{path}/logs"))[0] == 409


async def test_d27_d29_the_list_has_those_that_live_and_on_request_the_others(
    binder: Binder,
) -> None:
    one, two = [await binder.launched("/applications/lab") for _ in range(2)]
    three = await binder.launched("/applications/other")
    await binder.ask("DELETE", f"/applications/lab/{two['id']}")

    async def are_all_told() -> bool:
        _, found = await binder.ask("GET", "/applications?all=1")
        return {one["id"]: one["status"] for one in found} == {
            one["id"]: "deployed",
            two["id"]: "deleted",
            three["id"]: "deployed",
        }

    await eventually(are_all_told)
    lists = {
        path: {one["id"] for one in (await binder.ask("GET", path))[1]}
        for path in (
            "/applications",
            "/applications/",
            "/applications/lab",
            "/applications/Lab?all=true",
            "/applications?status=deleted",
            "/applications?status=failed",
        )
    }

    assert lists == {
        "/applications": {one["id"], three["id"]},
        "/applications/": {one["id"], three["id"]},
        "/applications/lab": {one["id"]},
        "/applications/Lab?all=true": {one["id"], two["id"]},
        "/applications?status=deleted": {two["id"]},
        "/applications?status=failed": set(),
    }


async def test_d27_the_list_needs_a_key_and_tells_what_waits(
    held: tuple[Binder, HoldsStarts],
) -> None:
    binder, _ = held
    _, launched = await binder.ask("POST", "/applications/lab", key=False)

    refused = await binder.ask("GET", "/applications", key=False)
    of_one = await binder.ask("GET", "/applications/lab", key=False)
    _, listed = await binder.ask("GET", "/applications/lab")

    assert refused[0] == of_one[0] == 403
    assert [one["id"] for one in listed] == [launched["id"]]
    assert all("token" not in one for one in listed)


async def test_d12_a_launch_says_in_milliseconds_when_it_is_culled(binder: Binder) -> None:
    _, short = await binder.ask("POST", "/applications/lab", {"cull-timeout": "60000"})
    long = await binder.launched("/applications/other", {"cull-timeout": 9 * HOUR_MS})

    environment = await binder.site.service.find(short["id"])
    assert environment is not None
    assert environment.idle_timeout == timedelta(minutes=1)
    assert short["cull-timeout-ms"] == 60_000
    assert short["cull-at"] > "2000"
    assert long["cull-timeout-ms"] == HOUR_MS


async def test_d12_what_is_unused_for_so_long_is_culled_and_told_as_deleted(
    binder: Binder,
) -> None:
    _, launched = await binder.ask("POST", "/applications/lab", {"cull-timeout": 1})
    other = await binder.launched("/applications/other")

    culled, _ = await binder.ask("POST", "/api/cull")

    assert culled == 200
    await until_status(binder, launched, "deleted")
    await until_status(binder, other, "deployed")


async def test_a_full_pool_answers_as_elsewhere(held: tuple[Binder, HoldsStarts]) -> None:
    binder, _ = held
    for _ in range(2):
        await binder.ask("POST", "/applications/lab", key=False)

    response = await binder.site.client.post("/applications/lab")
    told = await response.json()

    assert response.status == 429
    assert (told["status"], told["type"]) == ("full", "full")
    assert int(response.headers["Retry-After"]) > 0


async def test_a_callers_limit_holds_here_too(open_site: Open) -> None:
    async with open_site(limits={"environments": 1, "allow": []}) as site:
        await site.has_spares(1)
        binder = Binder(site)
        first = await binder.ask("POST", "/applications/lab", key=False)
        second = await binder.ask("POST", "/applications/lab", key=False)
        as_operator = await binder.ask("POST", "/applications/lab")

    assert (first[0], second[0], as_operator[0]) == (200, 429, 200)
    assert (second[1]["status"], second[1]["limit"]) == ("full", "environments")


@pytest.mark.parametrize(
    "settings", [{"api": {"open": ["read"]}}, {"tmpnb": {"api_auth_required": True}}]
)
async def test_d2_where_launching_is_not_open_it_needs_a_key(
    open_site: Open, settings: dict[str, Any]
) -> None:
    async with open_site(**settings) as site:
        await site.has_spares(1)
        binder = Binder(site)
        key, _ = await site.service.api_keys.make("launcher", ("launch",), None)

        refused = await binder.ask("POST", "/applications/lab", key=False)
        launched = await binder.ask("POST", "/applications/lab", key=False, Authorization=key)
        listed = await binder.ask("GET", "/applications", key=False, Authorization=key)

    assert (refused[0], refused[1]["type"]) == (403, "unauthorized")
    assert (launched[0], listed[0]) == (200, 403)


async def test_the_same_idempotency_key_gives_the_same_application(binder: Binder) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await binder.ask("POST", "/applications/lab", **headers)
    second = await binder.ask("POST", "/applications/lab", **headers)
    reused = await binder.ask("POST", "/applications/other", **headers)
    bad = await binder.ask("POST", "/applications/lab", **{"Idempotency-Key": "a b"})

    assert first == second
    assert reused[0] == 422
    assert bad[0] == 400


async def test_a_launch_whose_environments_do_not_start_is_told_as_failed(open_site: Open) -> None:
    backend: MemoryBackend = NeverStarts()
    async with open_site(backend=backend, pool=Pool(size=2, spare=0)) as site:
        binder = Binder(site)
        _, launched = await binder.ask("POST", "/applications/lab", key=False)

        failed = await until_status(binder, launched, "failed")
        _, listed = await binder.ask("GET", "/applications?status=failed")

    assert failed["error"]
    assert [one["id"] for one in listed] == [launched["id"]]


async def test_a_log_is_shown_to_who_has_the_token(binder: Binder) -> None:
    _, launched = await binder.ask("POST", "/applications/lab", key=False)
    path = f"/applications/lab/{launched['id']}/logs"

    for key in (launched["token"], API_KEY):
        response = await binder.site.client.get(f"{path}?tail=5", headers={"Authorization": key})
        assert (response.status, response.content_type) == (200, "text/plain")
    bad = await binder.ask("GET", f"{path}?tail=many")
    assert bad[0] == 422


async def test_what_was_handed_out_by_link_is_an_application_as_well(binder: Binder) -> None:
    environment = (await (await binder.site.client.post("/api/spawn")).json())["id"]

    _, shown = await binder.ask("GET", f"/applications/lab/{environment}", key=False)

    assert (shown["id"], shown["status"]) == (environment, "deployed")
