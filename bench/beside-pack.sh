#!/usr/bin/env bash
# bench/beside-pack.sh COMMAND...: runs COMMAND with what the figures `vs-pack-*` stand on: `pack` and the reference
# lifecycle with their images and a registry (tools/peers/ground.sh, which `make test-peers` uses too), and builders.
# To be run through tools/with-docker.sh. The variables BENCH_… say where everything is.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
target=$(realpath "${CARGO_TARGET_DIR:-target}")
. tools/peers/ground.sh

order='[[buildpacks]]
uri = "'$root'/bench/fixtures/layers"
[[order]]
[[order.group]]
id = "bench/layers"
version = "1.0.0"'
builder reference "$room/reference.tgz" "$order"
builder ours "$root/dist/lifecycle.tgz" "$order"

export BENCH_BIN=$bin BENCH_ROOM=$room BENCH_REGISTRY=localhost:$port BENCH_RUN_IMAGE=$run_image
cd "$root"
"$@"
