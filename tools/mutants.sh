#!/usr/bin/env bash
# tools/mutants.sh [new] [NAME...]: makes the mutants of conformance/source-mutants.toml, each in a copy of the tree, and
# runs the one test that must fail. `new`: those that were not seen to fail yet, or whose lines have changed since; names:
# these; nothing: all of them. What is seen is written to conformance/source-mutants.seen.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath "${CARGO_TARGET_DIR:-target}")
# Some of the tests build with our own programs into a real engine: without either they would fail for that reason.
if [ -z "${PACKLIGHT_PAYLOAD:-}" ]; then
    tools/payload.sh
    export PACKLIGHT_PAYLOAD=$target/payload
fi
cargo build --locked --quiet -p conformance --bin mutants
tools/with-docker.sh "$target/debug/mutants" "$target/mutants" "$@"
