# tmpenv itself, as a service. The image of the environments is images/jupyter.
#
#   make service-image        or: docker build --tag tmpenv/tmpenv .
#
# Debian or what descends from it, with Python 3.11 or newer.
ARG BASE=python:3.12-slim

# ca.crt and pip.conf are there only where the machine that builds needs them
# (images/build.sh); they stay behind in this stage, with pip and what else builds.
FROM ${BASE} AS build
WORKDIR /build
RUN python3 -m venv /build/tools && python3 -m venv --without-pip /opt/tmpenv
COPY pyproject.toml ca.cr[t] pip.con[f] ./
# What tmpenv needs changes less often than tmpenv: a layer of its own.
RUN set -e; \
    if [ -f ca.crt ]; then export PIP_CERT=/build/ca.crt; fi; \
    if [ -f pip.conf ]; then export PIP_CONFIG_FILE=/build/pip.conf; fi; \
    export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1; \
    python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        >needed.txt; \
    tools/bin/pip install --quiet 'setuptools>=69' wheel; \
    tools/bin/pip --python /opt/tmpenv/bin/python install --quiet --only-binary :all: -r needed.txt
COPY . .
RUN set -e; \
    tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels .; \
    tools/bin/pip --python /opt/tmpenv/bin/python install --quiet --no-deps --no-index wheels/*.whl; \
    /opt/tmpenv/bin/python -m compileall -q /opt/tmpenv

# The docker command builds images from repositories, against the daemon whose socket it is
# given. Debian 12 has it in docker.io, with BuildKit in it; later ones have both apart.
FROM ${BASE} AS docker
WORKDIR /packages
RUN set -e; \
    apt-get -qq update; \
    has() { apt-cache show "$1" >/dev/null 2>&1; }; \
    if has docker-cli; then set -- docker-cli; else set -- docker.io; fi; \
    if has docker-buildx; then set -- "$@" docker-buildx; fi; \
    apt-get -qq download "$@"; \
    for package in *.deb; do dpkg --extract "$package" all; done; \
    mkdir -p docker/bin docker/libexec/docker/cli-plugins; \
    cp all/usr/bin/docker docker/bin; \
    find all -name docker-buildx -type f -exec cp {} docker/libexec/docker/cli-plugins \;

FROM ${BASE}
LABEL org.opencontainers.image.title="tmpenv" \
      org.opencontainers.image.description="Running notebooks on demand" \
      org.opencontainers.image.licenses="BSD-3-Clause"
# nft sets the rules that keep environments from the network, where an operator lets it; git
# fetches repositories.
RUN set -e; \
    apt-get -qq update; \
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends ca-certificates git nftables tini >/dev/null; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log; \
    # What the base brings to install more with is not to be had here.
    if python3 -c 'import pip' 2>/dev/null; then python3 -m pip uninstall --quiet --yes pip; fi; \
    groupadd --gid 10001 tmpenv; \
    useradd --uid 10001 --gid 10001 --home-dir /var/lib/tmpenv --shell /usr/sbin/nologin tmpenv; \
    install --directory --owner tmpenv --group tmpenv --mode 0700 /var/lib/tmpenv
COPY --from=docker /packages/docker /usr/local
COPY --from=build /opt/tmpenv /opt/tmpenv
ENV PATH=/opt/tmpenv/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    TMPENV_HOST=0.0.0.0 \
    TMPENV_STATE_DIR=/var/lib/tmpenv
USER 10001:10001
WORKDIR /var/lib/tmpenv
EXPOSE 8000
# SIGTERM goes on to tmpenv, which drains: give it more time than docker stop's 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "tmpenv"]
CMD ["serve"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "web.healthy"]
