"""A conda channel that a test makes: packages by hand, and their index.

The package "python" is this channel's own: in its prefix it is a virtual environment
of the system's Python, which is all that a kernel needs.
"""

import bz2
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path

_SUBDIRS = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}


def add_package(
    channel: Path, name: str, version: str, files: Mapping[str, str | Path], subdir: str = "noarch"
) -> None:
    """Put a package into a channel: files by their paths in the prefix, a Path being a link."""
    index: dict[str, object] = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "depends": [],
        "subdir": subdir,
    }
    if subdir == "noarch":
        index["noarch"] = "generic"
    paths = {"paths": [_described(path, content) for path, content in files.items()]}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        _add(archive, "info/index.json", json.dumps(index))
        _add(archive, "info/paths.json", json.dumps(paths | {"paths_version": 1}))
        _add(archive, "info/files", "\n".join(files) + "\n")
        for path, what in files.items():
            _add(archive, path, what)
    packed = bz2.compress(content.getvalue())
    folder = channel / subdir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{version}-0.tar.bz2").write_bytes(packed)
    facts = {"sha256": hashlib.sha256(packed).hexdigest(), "size": len(packed)}
    _enlist(folder / "repodata.json", f"{name}-{version}-0.tar.bz2", index | facts)


def add_python(channel: Path, version: str) -> None:
    """Put a package "python" there for this machine's kind, made of the image's own Python."""
    files: dict[str, str | Path] = {
        "pyvenv.cfg": f"home = /usr/bin\nversion = {version}\n",
        "bin/python3": Path("/usr/bin/python3"),
        "bin/python": Path("python3"),
    }
    add_package(channel, "python", version, files, subdir=_SUBDIRS[platform.machine()])


def _described(path: str, content: str | Path) -> dict[str, object]:
    if isinstance(content, Path):
        return {"_path": path, "path_type": "softlink"}
    data = content.encode()
    return {
        "_path": path,
        "path_type": "hardlink",
        "size_in_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _add(archive: tarfile.TarFile, path: str, content: str | Path) -> None:
    member = tarfile.TarInfo(path)
    if isinstance(content, Path):
        member.type, member.linkname = tarfile.SYMTYPE, str(content)
        archive.addfile(member)
        return
    data = content.encode()
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _enlist(file: Path, name: str, record: Mapping[str, object]) -> None:
    channel = {"info": {"subdir": file.parent.name}, "packages": {}, "repodata_version": 1}
    index = json.loads(file.read_text()) if file.exists() else channel
    index["packages"][name] = record
    file.write_text(json.dumps(index))
