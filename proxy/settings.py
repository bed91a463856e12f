"""Name every limit, time and switch of the data path.

A setting carries its unit in its name. ``None`` as a time means no limit.
"""

from ipaddress import IPv4Network, IPv6Network

from pydantic import BaseModel, ConfigDict, Field


class ProxySettings(BaseModel):
    """What an operator may change about the data path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_head_bytes: int = Field(32 * 1024, gt=0, description="Longest request head (else 431).")
    max_headers_count: int = Field(200, gt=0, description="Most headers in a request (else 431).")
    max_url_bytes: int = Field(16 * 1024, gt=0, description="Longest request target (else 414).")
    max_response_head_bytes: int = Field(
        64 * 1024, gt=0, description="Longest response head accepted from a target (else 502)."
    )
    max_pipelined_bytes: int = Field(
        64 * 1024, gt=0, description="What is read ahead of the request being answered."
    )

    header_timeout_s: float = Field(30, gt=0, description="Time for a whole request head (408).")
    body_timeout_s: float = Field(120, gt=0, description="Time without a byte of a body (408).")
    idle_timeout_s: float = Field(75, gt=0, description="Time a connection may lie idle.")
    connect_timeout_s: float = Field(5, gt=0, description="Time to reach a target (504).")
    response_timeout_s: float | None = Field(
        None, gt=0, description="Time from the whole request to the response head (504)."
    )
    drain_timeout_s: float = Field(
        30, ge=0, description="Time that open requests and WebSockets get when draining."
    )
    linger_timeout_s: float = Field(
        2, gt=0, description="Time for a client to read the last bytes before it is cut off."
    )
    upstream_idle_timeout_s: float = Field(
        30, gt=0, description="Time a pooled connection to a target may lie idle."
    )
    max_idle_upstreams_count: int = Field(
        256, ge=0, description="Most idle pooled connections kept for one target."
    )
    starting_retry_after_s: int = Field(
        2, ge=0, description="Retry-After while an environment is starting."
    )
    unavailable_retry_after_s: int = Field(
        5, ge=0, description="Retry-After while routes cannot be asked for."
    )

    cors_origins: tuple[str, ...] = Field(
        (), description='Origins that may read answers, or "*" for all.'
    )
    cors_max_age_s: int = Field(600, ge=0, description="Time a preflight's answer may be kept.")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="Peers whose X-Forwarded-* headers are believed and appended to."
    )
    own_cookies_prefix: str = Field(
        "tmpenv-", description="Cookies with this prefix never reach an environment."
    )

    allow_wide_cookies: bool = Field(
        False, description="Let environments set cookies for a domain or outside their prefix."
    )
    allow_wide_service_workers: bool = Field(
        False, description="Let environments widen a service worker's scope."
    )
    allow_clear_site_data: bool = Field(False, description="Relay Clear-Site-Data.")
    allow_strict_transport_security: bool = Field(
        False, description="Relay Strict-Transport-Security."
    )
    allow_alt_svc: bool = Field(False, description="Relay Alt-Svc.")
    allow_public_key_pins: bool = Field(False, description="Relay Public-Key-Pins.")
