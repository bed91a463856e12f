#!/bin/bash
# Give this machine what the tests need: a Docker engine, a registry, a Redis, a browser,
# other proxies to compare ours with, Prometheus, images.
#
# Run before the tests, by hand or by make. As root on Debian it installs what is
# missing; elsewhere it says why it cannot, and goes on: the tests that need it are
# skipped. With CI=true whatever cannot be provided is an error. Again it does nothing.
set -euo pipefail

# A root who came by su may have none of root's directories, and sorting depends on the language.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/scripts/apt.sh"
log=/var/log/tmpenv-dockerd.log
for candidate in "${VENV:-$root/.venv}/bin/python" python3; do
    if command -v "$candidate" >/dev/null; then export PYTHON=$candidate && break; fi
done

say() { printf 'provision: %s\n' "$*"; }
give_up() { # the rest cannot be had: an error in CI, a pity elsewhere
    say "$*"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
}

missing() { # the packages that this machine lacks
    command -v docker >/dev/null && { command -v dockerd >/dev/null || answers; } || echo docker.io
    command -v docker-registry >/dev/null || echo docker-registry
    command -v iptables >/dev/null || echo iptables
    command -v nft >/dev/null || echo nftables
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null || echo redis-server
    command -v chromium >/dev/null || echo chromium
    command -v debootstrap >/dev/null || echo debootstrap
    command -v perl >/dev/null || echo perl
    command -v openssl >/dev/null || echo openssl
    command -v ip >/dev/null || echo iproute2
    command -v nginx >/dev/null || echo nginx
    command -v haproxy >/dev/null || echo haproxy
    command -v caddy >/dev/null || echo caddy
    command -v curl >/dev/null || echo curl
    command -v docker-compose >/dev/null || echo docker-compose
    command -v systemd-analyze >/dev/null || echo systemd
    command -v wrk >/dev/null || echo wrk
    command -v mkfs.btrfs >/dev/null || echo btrfs-progs
    command -v prometheus >/dev/null && command -v promtool >/dev/null || echo prometheus
    command -v npm >/dev/null || echo npm
    command -v git >/dev/null || echo git
    # Where the kernel has AppArmor, Docker starts nothing without its parser.
    [ ! -d /sys/kernel/security/apparmor ] || command -v apparmor_parser >/dev/null || echo apparmor
    [ -f /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

packages() {
    local wanted
    mapfile -t wanted < <(missing)
    if [ ${#wanted[@]} = 0 ]; then
        say "packages are here"
        return
    fi
    command -v apt-get >/dev/null || give_up "no apt-get to install ${wanted[*]} with"
    say "installing ${wanted[*]}"
    apt-get -qq update >"$scratch/apt.log" 2>&1 || tail -n 2 "$scratch/apt.log"
    # Since Debian 13 the command is a package of its own.
    command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 ||
        wanted+=(docker-cli docker-buildx)
    install_quietly "${wanted[@]}" >"$scratch/apt.log" 2>&1 || {
        tail -n 5 "$scratch/apt.log"
        give_up "apt-get could not install ${wanted[*]}"
    }
}

# configurable-http-proxy, which is to be had from npm alone. It needs no root.
chp() {
    local home version=5
    home=${VENV:-$root/.venv}/chp
    if [ -x "$home/node_modules/.bin/configurable-http-proxy" ]; then
        say "configurable-http-proxy is here"
        return
    fi
    command -v npm >/dev/null || give_up "no npm to install configurable-http-proxy with"
    # Debian 12 has Node.js 18, and later ones of its releases want 20.
    [ "$(node --version | sed 's/^v\([0-9]*\).*/\1/')" -ge 20 ] || version='~5.1'
    say "installing configurable-http-proxy"
    mkdir -p "$home"
    npm install --no-audit --no-fund --loglevel=error --prefix "$home" \
        "configurable-http-proxy@$version" >"$scratch/npm.log" 2>&1 || {
        tail -n 5 "$scratch/npm.log"
        give_up "npm could not install configurable-http-proxy"
    }
}

# Binder's own client, which is to be had from npm alone. It needs no root, and never loads
# binder-logging, a tree of 150 packages; so an empty package stands in for it.
binder_client() {
    local home
    home=${VENV:-$root/.venv}/binder-client
    if [ -x "$home/node_modules/.bin/binder" ]; then
        say "binder-client is here"
        return
    fi
    command -v npm >/dev/null || give_up "no npm to install binder-client with"
    say "installing binder-client"
    mkdir -p "$home"
    cp "$here/binder-client.json" "$home/package.json"
    npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefix "$home" \
        >"$scratch/npm.log" 2>&1 || {
        tail -n 5 "$scratch/npm.log"
        give_up "npm could not install binder-client"
    }
}

answers() { timeout 10 docker version >/dev/null 2>&1; }

# A daemon that was killed is still there for a moment, and then perhaps as a zombie.
is_running() { # the process of Docker's pid file
    local process
    process=/proc/$(cat /var/run/docker.pid 2>/dev/null || echo none)
    [ "$(cat "$process/comm" 2>/dev/null)" = dockerd ] && ! grep -q '^State:.[ZX]' "$process/status"
}

start_daemon() {
    # Pid files left by a killed daemon keep the next one from starting.
    rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
    setsid nohup dockerd >>"$log" 2>&1 </dev/null 9>&- &
    disown
    # It writes its pid at once; until then there must not be a second one.
    for _ in $(seq 50); do [ -s /var/run/docker.pid ] && break || sleep 0.1; done
}

engine() {
    if answers; then
        say "the Docker engine answers"
        return
    fi
    if [ -d /run/systemd/system ]; then
        systemctl start docker || true
    else
        mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || true
    fi
    for _ in $(seq 120); do
        if answers; then
            say "started the Docker engine"
            return
        fi
        [ -d /run/systemd/system ] || is_running || start_daemon
        sleep 0.5
    done
    tail -n 5 "$log" 2>/dev/null || true
    give_up "the Docker engine does not answer"
}

fingerprint() { # of what an image is made from: files and words
    { for part in "$@"; do
        if [ -e "$part" ]; then find "$part" -name __pycache__ -prune -o -type f -print0 | sort -z | xargs -0 cat; else echo "$part"; fi
    done; } | sha256sum | cut -c 1-16
}

is_made() { # IMAGE FINGERPRINT
    local found
    found=$(docker image inspect --format '{{index .Config.Labels "tmpenv.made-from"}}' "$1" 2>/dev/null) || return 1
    [ "$found" = "$2" ]
}

identity() { docker image inspect --format '{{.Id}}' "$1"; }

mirror() { # where this machine gets its own Debian packages from
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } |
        sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] *\)\?\([^ ]*\).*/\2/p' |
        { grep -E '/debian/?$' || true; } | sed -n 1p
}

base_image() {
    local release=bookworm include=ca-certificates,python3,python3-venv print where
    print=$(fingerprint "$release" "$include")
    if is_made tmpenv-test/base "$print"; then
        say "tmpenv-test/base is here"
        return
    fi
    where=$(mirror)
    [ -n "$where" ] || give_up "no Debian mirror in the sources of apt"
    say "making tmpenv-test/base"
    debootstrap --variant=minbase --include="$include" "$release" "$scratch/base" "$where" \
        >"$scratch/base.log" 2>&1 || {
        tail -n 5 "$scratch/base.log"
        give_up "debootstrap failed"
    }
    rm -rf "$scratch"/base/var/cache/apt/archives/*.deb "$scratch"/base/var/lib/apt/lists/*
    tar --create --one-file-system --directory "$scratch/base" . |
        docker import --change "LABEL tmpenv.made-from=$print" - tmpenv-test/base >/dev/null
}

image() { # NAME FINGERPRINT COMMAND…: build an image unless it is here as it should be
    local name=tmpenv-test/$1 print=$2
    shift 2
    if is_made "$name" "$print"; then
        say "$name is here"
        return
    fi
    say "making $name"
    "$@" --label "tmpenv.made-from=$print" >"$scratch/build.log" 2>&1 || {
        tail -n 20 "$scratch/build.log"
        give_up "$name could not be built"
    }
    # What it replaces has lost its name.
    docker image prune --force --filter label=tmpenv.made-from >/dev/null
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "$(id -u)" != 0 ]; then
    answers && say "the Docker engine answers"
    ! command -v npm >/dev/null || { chp && binder_client; }
    give_up "not root: nothing else is installed or built"
fi
# One at a time; the daemon must not inherit the lock, or it would hold it for ever.
exec 9>/run/tmpenv-provision.lock
flock 9
packages
chp
binder_client
engine
base_image
base=$(identity tmpenv-test/base)
image tiny "$(fingerprint "$here/tiny" "$base")" \
    env DOCKER_BUILDKIT=0 docker build --force-rm --tag tmpenv-test/tiny "$here/tiny"
image jupyter "$(fingerprint "$root/images" "$base")" \
    "$root/images/build.sh" jupyter tmpenv-test/jupyter --build-arg BASE=tmpenv-test/base
service=("$root"/{Dockerfile,.dockerignore,pyproject.toml,images/build.sh,proxy,spawner,culler,web})
image service "$(fingerprint "${service[@]}" "$base")" \
    "$root/images/build.sh" service tmpenv-test/service --build-arg BASE=tmpenv-test/base
