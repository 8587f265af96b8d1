#!/usr/bin/env bash
# tools/conformance.sh: the cases of conformance/ on the reference lifecycle, and every whole build on both lifecycles,
# which may differ in what conformance/differences.toml lists. What the reference makes of each case is compared with
# conformance/reference.toml; with UPDATE_REFERENCE=1 it is written there, and into the table.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/reference.sh
cargo run --locked --quiet -p conformance --bin peers -- "${CARGO_TARGET_DIR:-target}/peers/reference"
if [ -n "${UPDATE_REFERENCE:-}" ]; then
    UPDATE_TABLE=1 cargo test --locked --quiet -p conformance --test clauses
fi
