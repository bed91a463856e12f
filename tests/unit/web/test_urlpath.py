"""No link can lead outside its environment."""

import posixpath
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from web.urlpath import BadUrlPath, inside

BASE = "/user/abc/"
PIECES = st.sampled_from(
    [
        *"/.\\%:?#;@ \t\nax",
        "..",
        "%2e",
        "%2E",
        "%252e",
        "%2f",
        "%5c",
        "//",
        "http:",
        "é",
        "%",
        "%00",
    ]
)


@pytest.mark.parametrize(
    ("urlpath", "url"),
    [
        ("", "/user/abc/"),
        ("lab", "/user/abc/lab"),
        ("/lab", "/user/abc/lab"),
        ("lab/tree/x.ipynb?y=1&z=2#cell", "/user/abc/lab/tree/x.ipynb?y=1&z=2#cell"),
        ("lab/tree/a b.ipynb", "/user/abc/lab/tree/a%20b.ipynb"),
        ("lab/tree/a%20b.ipynb", "/user/abc/lab/tree/a%20b.ipynb"),
        ("lab/tree/100%.ipynb", "/user/abc/lab/tree/100%25.ipynb"),
        ("lab/tree/RTC:é.ipynb", "/user/abc/lab/tree/RTC:%C3%A9.ipynb"),
        (
            "git-pull?repo=https://h/r&urlpath=lab/../x",
            "/user/abc/git-pull?repo=https://h/r&urlpath=lab/../x",
        ),
        ("lab/..hidden/...", "/user/abc/lab/..hidden/..."),
    ],
)
def test_a_link_leads_where_it_says(urlpath: str, url: str) -> None:
    assert inside(BASE, urlpath) == url


@pytest.mark.parametrize(
    "urlpath",
    [
        "..",
        "../other/",
        "lab/../../other",
        "lab/./x",
        "%2e%2e/other",
        "%252e%252e/other",
        "lab/..%2f..%2fother",
        "lab/..;/x",
        "lab/ ../x",
        "//evil.example",
        "///evil.example",
        "%2f/evil.example",
        "%2f%2fevil.example",
        "lab//x",
        "\\evil.example",
        "lab\\..\\..\\x",
        "lab%5c..%5cx",
        "javascript:alert(1)",
        "https://evil.example/",
        "HTTP:evil",
        "lab\r\nSet-Cookie: a=b",
        "lab%0d%0aSet-Cookie:a",
        "lab%00",
        "lab?x=\r\nA: b",
        "lab#\n",
        "a" * 5000,
    ],
)
def test_a_link_that_might_leave_is_refused(urlpath: str) -> None:
    with pytest.raises(BadUrlPath):
        inside(BASE, urlpath)


def test_a_token_goes_into_the_query_before_the_fragment() -> None:
    assert inside(BASE, "lab?x=1#f", parameter="token=t") == "/user/abc/lab?x=1&token=t#f"
    assert inside(BASE, "lab#f", parameter="token=t") == "/user/abc/lab?token=t#f"


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
@example("\ud800")
def test_whatever_the_link_its_url_stays_inside(urlpath: str) -> None:
    try:
        url = inside(BASE, urlpath)
    except BadUrlPath:
        return

    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
    seen = urlsplit(urljoin("http://host/launch/t", url))
    assert seen.netloc == "host"
    path = seen.path
    for _ in range(4):
        assert (posixpath.normpath(path.replace("\\", "/")) + "/").startswith(BASE)
        path = unquote(path)
