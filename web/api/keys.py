"""Make, list and revoke API keys, for who has a key of scope "admin"."""

from datetime import timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field, field_validator

from spawner.api_keys import has_expired, is_key_name
from spawner.store.api_keys import KeptKey
from spawner.units import Duration
from web.context import SERVICE
from web.operations import Operations, Wire
from web.scopes import GRANTED, Scope
from web.views import timestamp

api = Operations("keys")


class NewKey(Wire):
    """What a key is made with."""

    name: str = Field(description="What it is called from now on: letters, digits, dots, dashes")
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = Field(
        description="What it is good for"
    )
    life: Duration | None = Field(None, description="30d, or seconds; for ever where absent")

    @field_validator("name")
    @classmethod
    def _can_be_one(cls, name: str) -> str:
        if not is_key_name(name):
            raise ValueError("write 1 to 40 of a-z, 0-9, dots and dashes, none of these at an end")
        return name

    @field_validator("scopes")
    @classmethod
    def _can_be_granted(cls, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        if Scope.READ in scopes:
            raise ValueError(f"any key reads; a key is made for {', '.join(GRANTED)}")
        return tuple(dict.fromkeys(scopes))

    @field_validator("life")
    @classmethod
    def _ends(cls, life: timedelta | None) -> timedelta | None:
        if life is not None and not timedelta(0) < life <= _LONGEST:
            raise ValueError("write a time from 1s to 3650d")
        return life


_LONGEST = timedelta(days=3650)


class KeyView(BaseModel):
    """What may be told of a key."""

    name: str
    scopes: tuple[str, ...]
    created_at: str | None
    expires_at: str | None = None
    expired: bool = False


class MadeKey(KeyView):
    """A key as it is told once."""

    key: str = Field(description="Shown this once; only a hash of it is kept")


class Keys(BaseModel):
    """All keys."""

    keys: list[KeyView]


class Revoked(BaseModel):
    """A key that opens nothing any more."""

    name: str
    revoked: bool = True


@api.get("/api/keys", scope=Scope.ADMIN)
async def list_keys(request: web.Request) -> Keys:
    """List all keys, by name, without the keys themselves."""
    kept, now = await request.app[SERVICE].api_keys.all()
    return Keys(keys=[KeyView(**_facts(one), expired=has_expired(one, now)) for one in kept])


@api.post("/api/keys", scope=Scope.ADMIN, fails={409: "key_exists"})
async def make_key(request: web.Request, body: NewKey) -> MadeKey:
    """Make a key, and show it this once."""
    keys = request.app[SERVICE].api_keys
    key, kept = await keys.make(body.name, body.scopes, body.life)
    return MadeKey(**_facts(kept), key=key)


@api.delete("/api/keys/{name}", scope=Scope.ADMIN, fails={404: "unknown_key"})
async def revoke_key(request: web.Request) -> Revoked:
    """Revoke a key; it opens nothing from then on."""
    name = request.match_info["name"]
    await request.app[SERVICE].api_keys.revoke(name)
    return Revoked(name=name)


routes = api.routes


def _facts(key: KeptKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": key.scopes,
        "created_at": timestamp(key.created_at),
        "expires_at": timestamp(key.expires_at),
    }
