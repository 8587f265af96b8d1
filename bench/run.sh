#!/usr/bin/env bash
# bench/run.sh [FIGURE...]: builds what a user has, then measures the figures (all of them by default) beside their
# peers, with a Docker engine of its own. Nothing fails because it is slow.
set -euo pipefail
cd "$(dirname "$0")/.."
figures=("$@")
if [ ${#figures[@]} = 0 ]; then figures=(all); fi

tools/dist.sh
cargo build --locked --quiet --release -p bench
exec tools/with-docker.sh "${CARGO_TARGET_DIR:-target}/release/bench" "${figures[@]}"
