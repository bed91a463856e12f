"""Which files of a repository count, and that nothing outside of it is read."""

from pathlib import Path

import pytest

from spawner.builder.contents import SUPPORTED, look, refuse_links_out, unsupported
from spawner.errors import BuildFailed


def put(directory: Path, *names: str) -> None:
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")


@pytest.mark.parametrize("place", ["binder/", ".binder/", ""])
def test_files_are_found_in_each_place(tmp_path: Path, place: str) -> None:
    put(tmp_path, f"{place}requirements.txt", f"{place}postBuild", "notebook.ipynb")

    contents = look(tmp_path)

    assert contents.place == place
    assert contents.names == {"requirements.txt", "postBuild"}
    assert contents.read("requirements.txt") == f"{place}requirements.txt\n"


def test_the_first_place_that_has_any_counts_alone(tmp_path: Path) -> None:
    put(tmp_path, "requirements.txt", ".binder/environment.yml", "binder/apt.txt")

    assert look(tmp_path).names == {"apt.txt"}


def test_a_folder_of_that_name_with_none_of_the_files_is_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "requirements.txt", "binder/rings.md")

    assert look(tmp_path).names == {"requirements.txt"}


def test_other_spellings_and_directories_do_not_count(tmp_path: Path) -> None:
    put(tmp_path, "Requirements.txt", "start/__init__.py")

    assert look(tmp_path).names == frozenset()


def test_a_link_within_the_repository_is_followed(tmp_path: Path) -> None:
    put(tmp_path, "requirements.txt", "binder/apt.txt")
    (tmp_path / "binder" / "requirements.txt").symlink_to("../requirements.txt")

    assert look(tmp_path).read("requirements.txt") == "requirements.txt\n"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "nowhere", "apt.txt"])
@pytest.mark.parametrize("look_at", [look, refuse_links_out])
def test_a_link_out_of_the_repository_is_refused(tmp_path: Path, look_at, target: str) -> None:
    put(tmp_path, "outside")
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "apt.txt").symlink_to(target)

    with pytest.raises(BuildFailed, match=r"^apt\.txt is a link"):
        look_at(repository)


@pytest.mark.parametrize("look_at", [look, refuse_links_out])
def test_a_place_that_leads_out_of_the_repository_is_refused(tmp_path: Path, look_at) -> None:
    put(tmp_path, "outside/apt.txt")
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "binder").symlink_to("../outside")

    with pytest.raises(BuildFailed, match="out of the repository"):
        look_at(repository)


def test_a_file_that_no_hand_wrote_is_refused(tmp_path: Path) -> None:
    (tmp_path / "apt.txt").write_bytes(b"a\n" * (1 << 20))

    with pytest.raises(BuildFailed, match="longer than 1 MiB"):
        look(tmp_path).read("apt.txt")


def test_text_in_another_encoding_is_read_as_far_as_it_can_be(tmp_path: Path) -> None:
    (tmp_path / "apt.txt").write_bytes("\ufefftree # für\n".encode() + b"\xfc")

    assert look(tmp_path).read("apt.txt") == "tree # für\n\ufffd"


def test_names_that_no_build_can_be_made_from_are_told() -> None:
    assert unsupported(SUPPORTED) == ()
    assert unsupported(["requirements.txt", "Gemfile", "../Dockerfile"]) == (
        "Gemfile",
        "../Dockerfile",
    )
