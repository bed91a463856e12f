# Sourced by scripts that install Debian packages.

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Install packages. Of the servers that they bring none is started, now or later:
# who wants one runs it, on a socket of its own.
install_quietly() ( # PACKAGES…
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq install --yes --no-install-recommends "$@" || exit
    [ -d /run/systemd/system ] || exit 0
    for package in "$@"; do
        case $package in redis-server | docker-registry | nginx | haproxy | caddy | prometheus)
            systemctl --quiet disable "$package" || true ;;
        esac
    done
)
