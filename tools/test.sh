#!/usr/bin/env bash
# tools/test.sh [all|lint|peers]: the stages of `make test` or `make test-peers`, each with a time limit; at the end what each stage took
# and how many tests passed. The first stage that fails ends the run.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
log=$(realpath "$target")/test.log
times=()
: >"$log"

# stage NAME MINUTES COMMAND...
stage() {
    local name=$1 minutes=$2 started=$SECONDS status=0
    shift 2
    printf '\n=== %s: %s\n' "$name" "$*"
    # In the background, so that Ctrl-C can be passed on: `timeout` makes the command a process group of its own.
    timeout --kill-after=60 "${minutes}m" "$@" > >(tee -a "$log") 2>&1 &
    running=$!
    wait "$running" || status=$?
    running=
    times+=("$(printf '%-10s %4d s' "$name" $((SECONDS - started)))")
    if [ "$status" != 0 ]; then
        if [ "$status" = 124 ]; then echo "=== $name did not end within $minutes minutes"; fi
        finish "$name failed with status $status"
        exit 1
    fi
}

interrupted() {
    if [ -n "${running:-}" ]; then
        kill -TERM "$running" 2>/dev/null || true
        wait "$running" || true
    fi
    exit 130
}
trap interrupted INT TERM

# finish [WHAT FAILED]: the times, then the closing line that runners read.
finish() {
    sleep 0.2   # the last lines of tee
    printf '\n=== Stages\n'
    printf '%s\n' "${times[@]}"
    if [ -n "${1:-}" ]; then printf '\n=== %s\n' "$1"; fi
    awk '/^test result: / { passed += $4; failed += $6; skipped += $8 }
         END { printf "\n%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : "" }' "$log"
}

lint() {
    stage format 2 cargo fmt --all --check
    stage clippy 20 cargo clippy --locked --quiet --workspace --all-targets -- -D warnings
}

# What the tests are given: the release as a user has it, with its own programs in it.
programs() {
    unset PACKLIGHT_PAYLOAD
    stage programs 25 tools/dist.sh
    PACKLIGHT_BIN=$(realpath dist/packlight)
    # The cases of conformance/ are run on the programs that a user gets.
    CNB_LIFECYCLE_DIR=$(realpath "$target/lifecycle/lifecycle")
    export PACKLIGHT_BIN CNB_LIFECYCLE_DIR
    stage compile 20 cargo test --locked --quiet --workspace --no-run
}

case ${1:-all} in
    lint)
        lint
        finish
        ;;
    peers)
        stage cases 20 cargo test --locked -p conformance --no-fail-fast
        stage reference 20 tools/conformance.sh
        stage lifecycle 20 tools/lifecycle.sh
        stage packages 20 tools/packages.sh
        stage peers 30 tools/with-docker.sh tools/peers.sh
        finish
        ;;
    all)
        # First, because it is the one thing that a machine may not allow.
        stage engine 2 tools/with-docker.sh docker version --format 'Docker {{.Server.Version}}'
        lint
        programs
        stage tests 30 tools/with-docker.sh cargo test --locked --workspace --no-fail-fast
        stage docs 10 env RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --workspace --no-deps
        finish
        ;;
    *)
        echo "usage: tools/test.sh [all|lint|peers]" >&2
        exit 2
        ;;
esac
