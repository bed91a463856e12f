"""Addresses of repositories, as people write them, and the names that come of them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner.builder.model import Source
from spawner.builder.settings import BuildSettings
from spawner.builder.sources import GitSources
from spawner.errors import BadSource
from spawner.model import Template


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> GitSources:
    settings = BuildSettings(gitlab_hosts=("git.example.org",))
    return GitSources(settings, tmp_path_factory.mktemp("scratch") / "never made")


@pytest.mark.parametrize(
    ("written", "provider", "url", "ref", "shown"),
    [
        (
            "https://github.com/Org/Repo",
            "github",
            "https://github.com/Org/Repo.git",
            "",
            "Org/Repo",
        ),
        (
            "https://github.com/Org/Repo/tree/feature/x",
            "github",
            "https://github.com/Org/Repo.git",
            "feature/x",
            "Org/Repo/tree/feature/x",
        ),
        (
            "https://gitlab.com/a/b/c/-/tree/dev",
            "gitlab",
            "https://gitlab.com/a/b/c.git",
            "dev",
            "a/b/c/tree/dev",
        ),
        ("https://git.example.org/a/b", "gitlab", "https://git.example.org/a/b.git", "", "a/b"),
        (
            "https://gist.github.com/ada/0123456789abcdef0123",
            "gist",
            "https://gist.github.com/0123456789abcdef0123.git",
            "",
            "gist/0123456789abcdef0123",
        ),
        ("https://example.org/x.git", "git", "https://example.org/x.git", "", "x"),
        ("http://127.0.0.1:8000/org/repo", "git", "http://127.0.0.1:8000/org/repo", "", "org/repo"),
        ("https://evilgithub.com/a/b", "git", "https://evilgithub.com/a/b", "", "a/b"),
        ("https://github.com.evil.org/a/b", "git", "https://github.com.evil.org/a/b", "", "a/b"),
    ],
)
def test_an_address_is_read_by_its_provider(
    sources: GitSources, written: str, provider: str, url: str, ref: str, shown: str
) -> None:
    source = sources.read(written)

    assert (source.provider, source.url, source.ref) == (provider, url, ref)
    assert source.display_name == shown


@pytest.mark.parametrize(
    "written",
    [
        "https://github.com/org/repo/",
        "https://github.com/org/repo.git",
        "https://www.github.com/org/repo",
        "https://GitHub.com/org/repo",
        "https://github.com:443/org/repo",
        "https://github.com//org//repo//",
        "https://github.com/org/repo?tab=readme#top",
        "github.com/org/repo",
        "git@github.com:org/repo.git",
        '"https://github.com/org/repo"',
        " 'https://github.com/org/repo' ",
        "https://github.com/ORG/Repo",
    ],
)
def test_a_repository_has_one_name_however_it_is_written(sources: GitSources, written: str) -> None:
    assert sources.read(written).name == sources.read("https://github.com/org/repo").name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("https://github.com/a-b/c", ""), ("https://github.com/a/b-c", "")),
        (("https://github.com/o/x", "y"), ("https://github.com/o/x-y", "")),
        (("https://github.com/o/x", "y"), ("https://github.com/o/x", "Y")),
        (("https://github.com/o/x", "a/b"), ("https://github.com/o/x", "a-b")),
        (("https://github.com/o/x", ""), ("https://gitlab.com/o/x", "")),
        (("https://example.org/o/x", ""), ("https://example.org/O/x", "")),
        (("https://example.org/o/x", ""), ("https://example.org:8443/o/x", "")),
        (("https://example.org/o_x", ""), ("https://example.org/o.x", "")),
    ],
)
def test_two_sources_never_share_a_name(
    sources: GitSources, one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert sources.read(*one).name != sources.read(*other).name


_SEGMENT = st.text("abAB-_.", min_size=1, max_size=4).filter(
    lambda text: text.strip(".-") and not text.startswith("-") and not text.endswith(".git")
)


@given(
    first=st.tuples(_SEGMENT, _SEGMENT, st.text("ab-", max_size=3).map(lambda ref: ref.strip("-"))),
    second=st.tuples(
        _SEGMENT, _SEGMENT, st.text("ab-", max_size=3).map(lambda ref: ref.strip("-"))
    ),
)
def test_names_are_one_to_one(
    sources: GitSources, first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    def read(org: str, repository: str, ref: str) -> Source:
        return sources.read(f"https://example.org/{org}/{repository}", ref)

    one, other = read(*first), read(*second)

    assert (one.name == other.name) is (first == second)
    Template(name=one.name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.name)
    assert one.name not in ("repo", "repos", "logs", "status")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "no address"),
        ("repo", "no address"),
        ("https://", "no name of a host"),
        ("https://github.com", "names a host and no repository"),
        ("https://github.com/org", "names no repository"),
        ("https://github.com/org/repo/issues/3", "leads into a repository"),
        ("https://github.com/org/re%2fpo", "no repository of such a name"),
        ("ssh://git@github.com/org/repo", "https alone"),
        ("file:///etc", "https alone"),
        ("ext::sh -c id", "no address"),
        ("--upload-pack=touch /tmp/x", "no address"),
        ("https://example.org/../x", "a path that no repository has"),
        ("https://example.org/%2e%2e/x", "a path that no repository has"),
        ("https://example.org/--upload-pack=x", "a path that no repository has"),
        ("https://example.org/a\nb", "no address"),
        ("https://exa mple.org/a", "no name of a host"),
        ("https://example.org:port/a", "host or port is malformed"),
        ("https://example.org/a?x=1", "has a query"),
        ("https://gist.github.com/ada", "no gist's"),
        ("https://example.org/" + "a" * 3000, "no address"),
    ],
)
def test_what_is_no_repository_is_told(sources: GitSources, written: str, told: str) -> None:
    with pytest.raises(BadSource, match=re.escape(told)):
        sources.read(written)


@pytest.mark.parametrize(
    "written", ["https://ada:planted@github.com/o/r", "https://planted@example.org/r"]
)
def test_credentials_in_an_address_are_refused_and_not_repeated(
    sources: GitSources, written: str
) -> None:
    with pytest.raises(BadSource) as refusal:
        sources.read(written)

    assert "credentials" in str(refusal.value)
    assert "planted" not in str(refusal.value)


@pytest.mark.parametrize(
    "ref", ["-x", "--upload-pack=x", "a..b", "a b", "a~1", "a^{}", "a:b", "x" * 256, "a.lock", "/a"]
)
def test_a_ref_that_git_would_not_take_is_refused(sources: GitSources, ref: str) -> None:
    with pytest.raises(BadSource, match="no name of a branch"):
        sources.read("https://github.com/o/r", ref)


def test_a_ref_that_is_given_goes_before_that_of_the_address(sources: GitSources) -> None:
    assert sources.read("https://github.com/o/r/tree/a", "b").ref == "b"


@given(st.text(max_size=60), st.text(max_size=20))
def test_whatever_is_written_is_read_or_refused(
    sources: GitSources, written: str, ref: str
) -> None:
    for text in (written, f"https://{written}", f"https://example.org/{written}"):
        try:
            source = sources.read(text, ref)
        except BadSource:
            continue
        Template(name=source.name)
        assert source.url.startswith(("https://", "http://"))
