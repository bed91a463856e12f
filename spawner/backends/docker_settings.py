"""What an operator can set about Docker."""

import sys
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spawner.units import Size


def _usual_reach() -> Literal["address", "loopback"]:
    # Docker Desktop runs containers in a virtual machine: their addresses lead nowhere here.
    return "address" if sys.platform == "linux" else "loopback"


class DockerSettings(BaseModel):
    """How to reach a Docker daemon, and how hard to work it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field("", description="unix:// or tcp:// address; DOCKER_HOST where empty")
    reach: Literal["address", "loopback"] = Field(
        default_factory=_usual_reach,
        description="By container address, or by a port published on 127.0.0.1",
    )
    start_threads: int = Field(8, ge=1, description="Starts at once")
    stop_threads: int = Field(8, ge=1, description="Stops at once")
    pull_threads: int = Field(2, ge=1, description="Image pulls at once")
    query_threads: int = Field(4, ge=1, description="Questions at once")
    timeout_s: int = Field(60, ge=1, description="Longest wait for an answer of the daemon")
    log_size: Size = Field(10 << 20, ge=1 << 10, description="Log kept of each environment")
