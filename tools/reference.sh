#!/usr/bin/env bash
# tools/reference.sh: builds the reference lifecycle and launcher from their published Go module, once, and lays them out
# in target/peers/reference as a platform has them in /cnb/lifecycle.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath "${CARGO_TARGET_DIR:-target}")
bin=$target/peers/bin
reference=$target/peers/reference
mkdir -p "$bin" "$reference"
for it in lifecycle launcher; do
    [ -x "$bin/$it" ] || (cd tools/peers/lifecycle \
        && CGO_ENABLED=0 go build -trimpath -o "$bin/$it" "github.com/buildpacks/lifecycle/cmd/$it")
done
for it in analyzer builder creator detector exporter extender rebaser restorer; do
    ln -sfn "$bin/lifecycle" "$reference/$it"
done
ln -sfn "$bin/launcher" "$reference/launcher"
