#!/bin/bash
# Build images/NAME as TAG, with what this machine needs to reach the package index.
# "service" is tmpenv itself, by the Dockerfile at the root.
#
#   images/build.sh NAME TAG [docker build arguments…]
#
# Behind a company's proxy, pip inside the build needs the same CA bundle and the
# same index as pip outside: both are copied into the build context as ca.crt and
# pip.conf. The Dockerfiles use them in a stage of which only the result is kept.
# Without such settings nothing is copied, and the build is a plain one.
set -euo pipefail

name=$1 tag=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
if [ "$name" = service ]; then
    root=$(dirname "$here")
    (cd "$root" && cp -R Dockerfile .dockerignore pyproject.toml README.md LICENSE \
        proxy spawner culler web "$context")
else
    cp -R "$here/$name/." "$context"
fi

setting() { # the value that pip has for a setting, wherever it was set
    { "${PYTHON:-python3}" -m pip config list 2>/dev/null || true; } |
        sed -n "s/^\(global\|install\|:env:\)\.$1='\(.*\)'\$/\2/p" | tail -n 1
}

for bundle in "$(setting cert)" "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}" \
    /etc/ssl/certs/ca-certificates.crt; do
    if [ -f "$bundle" ]; then
        cp -L "$bundle" "$context/ca.crt"
        break
    fi
done

# Indexes on this machine's own disk do not exist inside the build.
conf=$(for key in index-url extra-index-url trusted-host timeout; do
    value=$(setting $key | sed 's/\\n/ /g' | tr ' ' '\n' | grep -v '^file:' | paste -sd ' ' -)
    [ -z "$value" ] || echo "$key = $value"
done)
[ -z "$conf" ] || printf '[global]\n%s\n' "$conf" >"$context/pip.conf"

# Docker's old builder is slow to say so when BuildKit is asked for and not there.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0

arguments=(--network host)
for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!variable:-}" ] || arguments+=(--build-arg "$variable")
done
# A build that fails leaves no container behind.
docker build --force-rm "${arguments[@]}" "$@" --tag "$tag" "$context"
