"""What BuildKit prints, as Docker 20.10 and as buildx print it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner.builder.progress import BuildProgress

#: Of docker 20.10.24, DOCKER_BUILDKIT=1 docker build --progress=plain.
OLD = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:d6aea902cf86bad487202d11756b9f8beb835cd08fcf51267fa45eda3b3c6afd
#1 transferring dockerfile: 318B done
#1 DONE 0.0s

#3 [internal] load metadata for docker.io/tmpenv-test/tiny:latest
#3 sha256:fee9b94e199c6306bdfe5f9c0952f3b1756d5ee74c7015ce3bbe5a18432daec6
#3 DONE 0.0s

#9 [one 1/3] FROM docker.io/tmpenv-test/tiny
#9 sha256:6bb943a5dde93a6b80ce5827f31b5017cfc077061903cc9f8a3b4f2580c1ba3d
#9 CACHED

#4 [one 2/3] RUN echo hello; echo "#5 fake"; echo err >&2; printf 'x\\r50%%\\r100%%\\n'
#4 sha256:ad420562975f46820b88399ab4feb3fb4b22be7fcfdbcdc22d227810041086ca
#4 0.257 hello
#4 0.257 #5 fake
#4 0.257 x\r50%\r100%
#4 0.257 err
#4 DONE 0.6s

#5 [one 3/3] RUN true
#5 sha256:e14baaa04699c30e6357018f7907adb8083c1def421ec8f0e61a609a0e50c8ce
#5 DONE 0.4s

#6 [stage-1 2/4] COPY --from=one /etc/hostname /x
#6 sha256:d149f53d72cc483801fc52667a205f007ef72e28fd67a41076f25c07886fa6cf
#6 DONE 0.1s

#7 [stage-1 3/4] RUN echo abc; sleep 1; echo end
#7 sha256:b5bcb69a6060ecca6f92912b93a4eba8b83afa690d3e32b3c02324681f40b3d8
#7 0.360 abc
#7 1.369 end
#7 DONE 1.4s

#8 [stage-1 4/4] RUN echo failing; exit 3
#8 sha256:270e7556aa26a00fa64a687e8b6e4d6ccf209a6809764f84be9b0596baf05239
#8 0.404 failing
#8 ERROR: executor failed running [/bin/sh -c echo failing; exit 3]: exit code: 3
------
 > [stage-1 4/4] RUN echo failing; exit 3:
------
executor failed running [/bin/sh -c echo failing; exit 3]: exit code: 3
"""
#: In the form of buildx 0.12 and later.
NEW = """\
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 124B done
#1 DONE 0.0s

#2 [internal] load metadata for docker.io/library/debian:12
#2 DONE 0.6s

#3 [1/3] FROM docker.io/library/debian:12@sha256:27586f4609433f2f
#3 resolve docker.io/library/debian:12@sha256:27586f4609433f2f done
#3 sha256:b2b31b28ee3c96e9 11.53MB / 49.58MB 0.2s
#3 extracting sha256:b2b31b28ee3c96e9 2.1s done
#3 DONE 4.5s

#4 [2/3] RUN pip --version
#4 10.92 pip 23
#4 10.92
#4 ...

#5 [3/3] RUN curl -f x && true
#5 0.065 ...  0   405    0
#5 0.582 curl: (22) The requested URL returned error: 410
#5 ERROR: process "/bin/sh -c curl -f x && true" did not complete successfully: exit code: 22

#4 [2/3] RUN pip --version
#4 CANCELED
------
 > [3/3] RUN curl -f x && true:
0.582 curl: (22) The requested URL returned error: 410
------
Dockerfile:3
--------------------
   2 |     RUN pip --version
   3 | >>> RUN curl -f x && \\
   4 | >>>     true
--------------------
ERROR: failed to solve: process "/bin/sh -c curl -f x && true" did not complete successfully: exit code: 22
"""  # noqa: E501


def read(text: str) -> tuple[BuildProgress, list[str], list[tuple[int, int]]]:
    progress = BuildProgress()
    told: list[str] = []
    steps: list[tuple[int, int]] = []
    for line in text.split("\n"):
        told += progress.take(line)
        if not steps or steps[-1] != (progress.step, progress.steps):
            steps.append((progress.step, progress.steps))
    return progress, told, steps


def test_the_log_of_20_10_has_steps_and_their_output_and_nothing_internal() -> None:
    _, told, _ = read(OLD)

    assert told == [
        "[one 1/3] FROM docker.io/tmpenv-test/tiny",
        "CACHED",
        """[one 2/3] RUN echo hello; echo "#5 fake"; echo err >&2; printf 'x\\r50%%\\r100%%\\n'""",
        "hello",
        "#5 fake",
        "100%",
        "err",
        "DONE 0.6s",
        "[one 3/3] RUN true",
        "DONE 0.4s",
        "[stage-1 2/4] COPY --from=one /etc/hostname /x",
        "DONE 0.1s",
        "[stage-1 3/4] RUN echo abc; sleep 1; echo end",
        "abc",
        "end",
        "DONE 1.4s",
        "[stage-1 4/4] RUN echo failing; exit 3",
        "failing",
        "ERROR: exit code: 3",
    ]


def test_steps_count_all_stages_that_have_begun() -> None:
    _, _, steps = read(OLD)

    assert steps == [(0, 0), (1, 3), (2, 3), (3, 3), (5, 7), (6, 7), (7, 7)]


def test_the_failure_is_the_step_its_reason_and_its_last_lines() -> None:
    progress, _, _ = read(OLD)

    assert progress.failure == "[stage-1 4/4] RUN echo failing; exit 3: exit code: 3 | failing"


def test_the_log_of_buildx_has_neither_pulls_nor_excerpts() -> None:
    progress, told, steps = read(NEW)

    digest = "sha256:27586f4609433f2f"
    assert told == [
        f"[1/3] FROM docker.io/library/debian:12@{digest}",
        "DONE 4.5s",
        "[2/3] RUN pip --version",
        "pip 23",
        "",
        "[3/3] RUN curl -f x && true",
        "...  0   405    0",
        "curl: (22) The requested URL returned error: 410",
        "ERROR: exit code: 22",
        "[2/3] RUN pip --version",
        "CANCELED",
    ]
    assert steps == [(0, 0), (1, 3), (2, 3), (3, 3)]
    assert progress.failure.startswith("[3/3] RUN curl")
    assert progress.failure.endswith(
        "exit code: 22 | ...  0   405    0 | curl: (22) The requested URL returned error: 410"
    )
    assert progress.last_words.startswith("ERROR: failed to solve")


def test_what_a_failure_takes_down_with_it_is_not_the_failure() -> None:
    progress, _, _ = read(
        "#5 [2/3] RUN a\n#6 [3/3] RUN b\n#5 ERROR: context canceled\n#6 ERROR: exit code: 1\n"
    )

    assert progress.failure == "[3/3] RUN b: exit code: 1"


def test_what_docker_says_by_itself_is_kept_and_is_no_step() -> None:
    progress, told, _ = read("Cannot connect to the Docker daemon at unix:///x. Is it running?\n")

    assert (progress.failure, told) == ("", [])
    assert progress.last_words.startswith("Cannot connect to the Docker daemon")


@pytest.mark.parametrize("name", ["[internal] load .dockerignore", "[auth] library/debian:pull"])
def test_what_is_internal_is_told_only_when_it_fails(name: str) -> None:
    quiet, failing = read(f"#1 {name}\n#1 DONE 0.0s")[1], read(f"#1 {name}\n#1 ERROR: denied")[1]

    assert quiet == []
    assert failing == [name, "ERROR: denied"]


@given(st.lists(st.text(st.characters(exclude_characters="\n"))))
def test_no_output_is_taken_for_a_step_or_a_failure(lines: list[str]) -> None:
    printed = "".join(f"#2 0.1 {line}\n" for line in lines)

    progress, told, _ = read(f"#2 [1/2] RUN x\n{printed}")

    assert (progress.step, progress.steps, progress.failure) == (1, 2, "")
    assert len(told) == 1 + len(lines)
