"""Give builds what a company's network wants of them, and keep it out of their images.

Each setting becomes a file that ``RUN --mount=type=secret`` shows to one command
and that no layer holds. Proxies are the build arguments that Docker knows by itself
and writes into no history. A Dockerfile of a repository's own finds the same files
under the same names (docs/builds.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from spawner.builder.settings import BuildSettings
from spawner.errors import BuildFailed

_CA, _PIP, _NPM, _CONDA = "tmpenv-ca", "tmpenv-pip", "tmpenv-npm", "tmpenv-conda"
#: Where Docker shows a secret.
_SHOWN = "/run/secrets/"
#: In memory, and in no layer; beside the usual authorities, where Debian has them.
_BUNDLE = "/dev/shm/ca.crt"  # noqa: S108 - of the build's container
_TRUSTING = (
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("PIP_CERT", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"),
)
_POINTS_TO = {_PIP: "PIP_CONFIG_FILE", _NPM: "NPM_CONFIG_USERCONFIG", _CONDA: "CONDARC"}


@dataclass(frozen=True, slots=True)
class Network:
    """What reaches a build, and leaves no trace."""

    #: Name of the secret → its text.
    secrets: Mapping[str, str]
    arguments: Mapping[str, str]

    def mounts(self) -> tuple[str, ...]:
        """Give the options of a RUN that is to see the secrets."""
        return tuple(f"--mount=type=secret,id={name},mode=0444" for name in self.secrets)

    def settings(self) -> tuple[str, ...]:
        """Give the shell commands that let what follows in a RUN use them."""
        commands = []
        if _CA in self.secrets:
            usual = "/etc/ssl/certs/ca-certificates.crt"
            commands.append(f"{{ cat {usual} {_SHOWN}{_CA} >{_BUNDLE} 2>/dev/null || true; }}")
        pointed = [f"{name}={_BUNDLE}" for name in _TRUSTING if _CA in self.secrets]
        pointed += [f"{_POINTS_TO[one]}={_SHOWN}{one}" for one in self.secrets if one != _CA]
        if pointed:
            commands.append(f"export {' '.join(pointed)}")
        return tuple(commands)

    def apt_options(self) -> str:
        """Give the options with which apt-get believes the same authorities."""
        return f"-o Acquire::https::CAInfo={_BUNDLE} " if _CA in self.secrets else ""

    def write(self, workspace: Path) -> dict[str, Path]:
        """Write the secrets where only we read them; give name → file."""
        written = {}
        for name, text in self.secrets.items():
            file = workspace / name
            file.touch(mode=0o600)
            file.write_text(text)
            written[name] = file
        return written


def network_of(settings: BuildSettings) -> Network:
    """Say what the settings want builds to be given; nothing of this machine's own.

    Raises:
        BuildFailed: The bundle of authorities cannot be read.
    """
    secrets = {}
    if settings.ca_bundle is not None:
        secrets[_CA] = _bundle(settings.ca_bundle)
    if index := _text(settings.pip_index_url):
        secrets[_PIP] = f"[global]\nindex-url = {index}\n"
    if registry := _text(settings.npm_registry):
        secrets[_NPM] = f"registry={registry}\n"
    if settings.conda_channels:
        # JSON is YAML, which is what conda reads.
        secrets[_CONDA] = json.dumps({"channels": settings.conda_channels}) + "\n"
    arguments = {
        "HTTP_PROXY": _text(settings.http_proxy),
        "HTTPS_PROXY": _text(settings.https_proxy),
        "NO_PROXY": ",".join(settings.no_proxy),
    }
    return Network(secrets, {name: value for name, value in arguments.items() if value})


def _bundle(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailed(
            "The authorities that builds are to believe cannot be read (build.ca_bundle)."
        ) from error


def _text(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
