#!/usr/bin/env bash
# bench/run.sh [FIGURE...]: builds what a user has, then measures the figures (all of them by default) beside their
# peers, with a Docker engine of its own. `vs-pack` stands for all figures against pack. Nothing fails because it is slow.
set -euo pipefail
cd "$(dirname "$0")/.."
figures=("$@")
if [ ${#figures[@]} = 0 ]; then figures=(all); fi

tools/setup.sh bench
tools/dist.sh
cargo build --locked --quiet --release -p bench
measure=(tools/with-docker.sh)
case " ${figures[*]}" in *" all"* | *" vs-pack"*) measure+=(bench/beside-pack.sh) ;; esac
exec "${measure[@]}" "${CARGO_TARGET_DIR:-target}/release/bench" "${figures[@]}"
