#!/bin/sh
# From a repository's address to an opened notebook, by curl and sed alone.
#
#   TMPENV_API_KEY=… docs/tour.sh https://github.com/org/repo [branch, tag or commit]
#
# TMPENV_SERVER is the tmpenv that does it. Each call is printed before it is made, so that
# this can be read as an introduction to the interface.
set -eu

repository=${1:?usage: docs/tour.sh REPOSITORY [REF]}
ref=${2:-}
server=${TMPENV_SERVER:-http://127.0.0.1:8000}
server=${server%/}
api=$server/api
export TMPENV_API_KEY="${TMPENV_API_KEY:-}"

jar=$(mktemp)
trap 'rm -f "$jar"' EXIT

fail() {
    echo "tour: $*" >&2
    exit 1
}

say() { printf '\n# %s\n' "$*" >&2; }

# Print a call as it can be typed, and make it; the key is never printed.
call() {
    method=$1 url=$2 body=${3:-}
    printf '$ curl -X %s -H "Authorization: token $TMPENV_API_KEY"' "$method" >&2
    [ -z "$body" ] || printf " --json '%s'" "$body" >&2
    printf ' %s\n' "$url" >&2
    # The key goes by standard input: whoever lists processes sees arguments.
    printf 'header = "Authorization: token %s"\n' "$TMPENV_API_KEY" |
        curl --silent --show-error --no-buffer --fail-with-body --config - --request "$method" \
            ${body:+--header} ${body:+"Content-Type: application/json"} ${body:+--data} ${body:+"$body"} "$url" ||
        fail "$method $url was refused, or nobody answered"
}

# Give a word of a JSON object: names, states and addresses have nothing in them that is escaped.
word() { printf '%s' "$2" | sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p'; }

case $repository$ref in *[\"\\]*) fail "no repository or branch has quotes or backslashes in its name" ;; esac

say "Build an image from the repository. A build that runs is joined, an image that is there is used."
build=$(call POST "$api/builds" "{\"repository\": \"$repository\", \"ref\": \"$ref\"}") || fail "$build"
name=$(word name "$build")
[ -n "$name" ] || fail "no build: $build"
echo "$build"

say "Follow its log until it ends."
while :; do
    call GET "$api/builds/$name/logs?format=text&follow=1"
    say "What came of it?"
    build=$(call GET "$api/builds/$name") || fail "$build"
    status=$(word status "$build")
    [ "$status" = running ] || break
    say "The log broke off. Again, from its beginning:"
    sleep 1
done
echo "$build"
[ "$status" = completed ] || fail "$name was not built: $(word error "$build")"

say "This link opens it for everybody: $(word launch "$build")"

say "Launch it."
application=$(call POST "$api/applications/$name" '{}') || fail "$application"
id=$(word id "$application")
[ -n "$id" ] || fail "no application: $application"

say "Ask until it has a location."
left=300
location=$(word location "$application")
while [ -z "$location" ]; do
    case $(word status "$application") in
    failed | deleted) fail "it did not start: $application" ;;
    esac
    left=$((left - 1))
    [ "$left" -gt 0 ] || fail "it has not started within five minutes: $application"
    sleep 1
    application=$(call GET "$api/applications/$name/$id") || fail "$application"
    location=$(word location "$application")
done

# A location may be a path of the server.
case $location in
/*) location=$(printf '%s' "$server" | sed 's|^\(https\{0,1\}://[^/]*\).*|\1|')$location ;;
esac

say "Open it."
echo "$ curl -L $location" >&2
curl --silent --show-error --fail --location --cookie "$jar" --cookie-jar "$jar" \
    --output /dev/null --write-out '%{http_code} %{content_type} %{url_effective}\n' "$location" ||
    fail "$location does not open"

say "Open it in a browser:"
echo "$location"
