#!/usr/bin/env bash
# tools/demo.sh: the whole way once. Builds Packlight, turns examples/flask into an image, starts it, asks it over
# HTTP, shows the answer and the span of that request, and stops everything. Works as root and as an ordinary user.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
name=my-python-app
room=$(mktemp -d)
app=

clean_up() {
    if [ -n "$app" ] && kill -INT "$app" 2>/dev/null; then wait "$app" || true; fi
    rm -rf "$room"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; "$@"; }
fail() { printf 'demo: %s\n' "$@" >&2; exit 1; }
indent() { sed 's/^/    /'; }

say "1. What this machine needs"
tools/setup.sh demo

say "2. Packlight itself, and the programs that it brings along (the first time takes minutes)"
run make --no-print-directory build
packlight=$target/debug/packlight
export PACKLIGHT_PAYLOAD=$target/payload

say "3. From source to image: no Dockerfile, no daemon, no root, no change of the source"
run ls examples/flask
run "$packlight" build "$name" --path examples/flask

say "4. The image runs, and prints its spans because OTEL_TRACES_EXPORTER says so"
# The kernel knows a free port.
free_port() {
    local port
    for port in $(shuf -i 20000-29999 -n 50); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    fail "no free port between 20000 and 29999"
}
port=$(free_port)
printf '%s$ %s%s\n' "$dim" \
    "$packlight run $name -p $port:8000 -e PORT=8000 -e OTEL_TRACES_EXPORTER=console" "$plain"
"$packlight" run "$name" -p "$port:8000" -e PORT=8000 -e OTEL_TRACES_EXPORTER=console >"$room/out" 2>"$room/err" &
app=$!

# until_or SECONDS WHAT COMMAND...: waits for COMMAND to succeed, and shows what the app said when it does not.
until_or() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$app" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
            sed 's/^/    /' "$room/err" "$room/out" >&2
            fail "$what; above is what the app printed"
        fi
        sleep 0.1
    done
}
# The span of a request is one JSON object, from a line `{` to a line `}`.
server_span() {
    awk '/^\{/ { object = "" } { object = object $0 "\n" }
         /^\}/ && object ~ /SpanKind\.SERVER/ { printf "%s", object; found = 1; exit }
         END { exit !found }' "$room/out"
}
until_or 60 "the app did not answer on port $port" \
    curl --silent --show-error --fail --max-time 5 --output "$room/answer" "http://127.0.0.1:$port/"
indent <"$room/err"

say "5. Asked over HTTP, it answers"
printf '%s$ curl http://127.0.0.1:%s/%s\n' "$dim" "$port" "$plain"
indent <"$room/answer"

say "6. And this is the span of that request, from an app without a line about telemetry"
until_or 30 "no server span was printed" server_span
server_span >"$room/span"
indent <"$room/span"

say "7. Stopped, as Ctrl-C would"
kill -INT "$app"
status=0
wait "$app" || status=$?
app=
echo "    packlight run ended with status $status"

say "Done. What to try next:"
cat <<END
    export PACKLIGHT_PAYLOAD=$(realpath "$target/payload") PATH=$(realpath "$target/debug"):\$PATH

    packlight run $name                                   # picks a free port and prints the URL
    packlight run $name -e OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318
    packlight run $name --entrypoint bash                 # a shell in the image
    cd your-own-app && packlight build your-own-app       # requirements.txt, uv.lock or pyproject.toml
    packlight images
END
if command -v docker >/dev/null && docker version >/dev/null 2>&1; then
    echo "    docker run -ti -p 5000:8000 -e PORT=8000 $name         # the build gave it to your engine, too"
fi
echo
echo "    docs/tutorial.md explains each step; \`make dist\` writes one static file to install."
