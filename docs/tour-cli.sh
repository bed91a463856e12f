#!/bin/sh
# From a repository's address to an opened notebook, by the command tmpenv alone.
#
#   TMPENV_API_KEY=… docs/tour-cli.sh https://github.com/org/repo [branch, tag or commit]
#
# TMPENV_SERVER is the tmpenv that does it; the one on this machine where it is unset. What
# the command prints on a terminal is for people, and its exit codes are for scripts: 3 is a
# build that failed, which ends this one too.
set -eu

repository=${1:?usage: docs/tour-cli.sh REPOSITORY [REF]}
ref=${2:-}

say() { printf '\n# %s\n' "$*" >&2; }

say "Build an image from the repository, and give the name of the build."
build=$(tmpenv build --repo "$repository" --ref "$ref" --json)
name=$(printf '%s\n' "$build" | sed -n 's/^  "name": "\(.*\)",\{0,1\}$/\1/p')
echo "$name"

say "Follow its log until it ends, with the link that opens it."
tmpenv logs "$name" --build --follow

say "Launch it; --open would open it in a browser."
tmpenv launch --template "$name"
