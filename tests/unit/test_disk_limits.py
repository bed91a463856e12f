"""Which daemons hold a container to a size, and what the process backend counts."""

import os
from pathlib import Path
from typing import Any

import pytest

from spawner.backends.docker_disk import is_refusal, storage_opt
from spawner.backends.process_disk import directory_size

BLOCK = 4096


@pytest.mark.parametrize(
    ("driver", "file_system", "size"),
    [
        ("overlay2", "xfs", 1000),
        ("overlay2", "extfs", None),
        ("overlay2", "btrfs", None),
        ("zfs", "", 1000),
        ("btrfs", "", 1300),  # counts the image as well
        ("overlayfs", "xfs", None),  # containerd's, which would take no notice
        ("vfs", "xfs", None),
        ("fuse-overlayfs", "xfs", None),
    ],
)
def test_the_storage_driver_says_whether_a_layer_can_be_held_to_a_size(
    driver: str, file_system: str, size: int | None
) -> None:
    info: dict[str, Any] = {"Driver": driver, "DriverStatus": [["Backing Filesystem", file_system]]}

    assert storage_opt(info, 1000, 300) == (size and {"size": str(size)})


def test_a_daemon_that_has_refused_is_asked_for_nothing() -> None:
    assert storage_opt({}, 1000, 300) is None


def test_a_refusal_is_known_by_its_words() -> None:
    told = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"

    assert is_refusal(told)
    assert not is_refusal("no space left on device")


def test_a_directory_counts_what_it_takes_on_disk(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * (1 << 20))
    place = tmp_path / "place"
    (place / "deep" / "deeper").mkdir(parents=True)
    empty = directory_size(place)
    (place / "deep" / "deeper" / "file").write_bytes(b"x" * 10 * BLOCK)
    os.link(place / "deep" / "deeper" / "file", place / "again")
    (place / "sparse").touch()
    os.truncate(place / "sparse", 1 << 30)
    (place / "out").symlink_to(outside)
    (place / "up").symlink_to(tmp_path)

    used = directory_size(place) - empty

    assert 10 * BLOCK <= used <= 12 * BLOCK


def test_a_directory_that_is_gone_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        directory_size(tmp_path / "gone")
