"""A document is what the operations say, and nothing else."""

from aiohttp import web
from pydantic import Field

from web.api_page import sections
from web.openapi import document, failures, interfaces
from web.operations import Operations, Parameter, Wire
from web.scopes import Scope


class Cat(Wire):
    """A cat."""

    first_name: str = Field(description="How it is called")
    lives: int = 9
    friends: tuple["Cat", ...] = ()


class WhichCats(Wire):
    """Which are meant."""

    most: int = Field(10, ge=1, description="No more than so many")
    of_house: str


api = Operations(
    "cats", parameters={"name": Parameter(description="Its name", pattern="[a-z]+", example="tom")}
)
probes = Operations("probes", plain=True)


@api.get("/cats", scope=Scope.READ)
async def list_cats(request: web.Request, query: WhichCats) -> Cat | list[Cat]:
    """List cats."""
    raise NotImplementedError


@api.put(r"/cats/{name:[a-z]{1,9}}", "/felines/{name}", scope=Scope.BUILD, fails={409: "asleep"})
async def put_cat(request: web.Request, body: Cat | None) -> Cat:
    """Keep a cat.

    It stays for ``lives`` lives.

    Raises:
        Nothing: That anybody need know of.
    """
    raise NotImplementedError


@api.get("/cats/{name}/purrs", gives={"text/plain": "as it purrs"}, has_head=False)
async def hear_cat(request: web.Request) -> web.StreamResponse:
    """Hear one."""
    raise NotImplementedError


@probes.get("/probe", answer=dict[str, str])
async def probe(request: web.Request) -> web.Response:
    """Say that there are cats."""
    raise NotImplementedError


OPERATIONS = (*api.all, *probes.all)
DOCUMENT = document(OPERATIONS, title="Cats", mount="/", is_open=lambda scope: scope is Scope.READ)
PATHS = DOCUMENT["paths"]


def test_a_query_is_parameters() -> None:
    most, house = PATHS["/cats"]["get"]["parameters"]

    assert (most["name"], most["in"], most["required"]) == ("most", "query", False)
    assert most["schema"]["minimum"] == 1
    assert (house["name"], house["required"]) == ("of-house", True)
    assert "WhichCats" not in DOCUMENT["components"]["schemas"]


def test_a_place_in_a_path_is_a_parameter_without_its_pattern_in_the_path() -> None:
    (name,) = PATHS["/cats/{name}"]["put"]["parameters"]

    assert name == {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "Its name",
        "example": "tom",
        "schema": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
    }


def test_a_body_that_may_be_left_out_is_said_to() -> None:
    body = PATHS["/cats/{name}"]["put"]["requestBody"]

    assert not body["required"]
    assert "get" not in PATHS["/cats/{name}"]
    assert "requestBody" not in PATHS["/cats"]["get"]


def test_the_docstring_is_told_but_for_what_is_raised() -> None:
    put = PATHS["/cats/{name}"]["put"]

    assert put["summary"] == "Keep a cat"
    assert put["description"] == (
        "It stays for `lives` lives.\n\nAlso at `/felines/{name}`.\n\nNeeds a key of scope `build`."
    )


def test_failures_of_its_own_are_told_beside_those_of_its_kind() -> None:
    _, put, hear, plain = OPERATIONS

    assert set(failures(put)) == {400, 403, 404, 409, 413, 414, 415, 422, 503}
    assert failures(put)[409] == ("asleep",)
    assert failures(put)[403] == ("unauthorized", "banned")
    assert set(failures(hear)) == {403, 404, 414, 503}
    assert set(failures(plain)) == {403, 503}


def test_a_stream_is_told_by_its_media_type() -> None:
    assert list(PATHS["/cats/{name}/purrs"]["get"]["responses"]["200"]["content"]) == ["text/plain"]


def test_a_key_is_needed_where_a_scope_is_not_open() -> None:
    assert PATHS["/cats/{name}"]["put"]["security"] == [{"key": []}]
    assert PATHS["/cats"]["get"]["security"] == [{"key": []}, {}]
    assert PATHS["/probe"]["get"]["security"] == []


def test_all_roots_are_named_at_which_something_is_found() -> None:
    assert interfaces(OPERATIONS) == {"cats", "felines", "api", "probe"}


def test_plain_operations_are_served_where_they_are_written_alone() -> None:
    assert [route.path for route in probes.routes()] == ["/probe"]
    assert [route.path for route in api.routes()][:4] == [
        "/cats",
        "/cats/",
        "/api/cats",
        "/api/cats/",
    ]
    assert [route.kwargs for route in api.routes()][-1] == {"allow_head": False}


def test_the_page_shows_what_is_within_what_and_ends_where_it_comes_around() -> None:
    cats, plain = sections(DOCUMENT)
    listed, put, _ = cats.operations

    assert (cats.name, plain.name) == ("cats", "probes")
    assert [(row.name, row.depth) for row in put.answer[:3]] == [
        ("first-name", 0),
        ("lives", 0),
        ("friends", 0),
    ]
    assert [row.name for row in listed.answer] == [row.name for row in put.answer]
    assert max(row.depth for row in put.answer) == 2
    assert put.answer[1].text == "(default 9)"
    assert [put.answer[2].kind, put.answer[0].kind] == ["list of object", "string"]
    assert (put.needs_key, listed.needs_key) == (True, False)
