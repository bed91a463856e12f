"""Which tmpenv this is."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("tmpenv")
    except PackageNotFoundError:
        return "0+source"


VERSION = _installed()
