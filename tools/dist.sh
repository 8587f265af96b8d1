#!/usr/bin/env bash
# tools/dist.sh: writes dist/packlight, the one static file that a user downloads: the command line with the payload
# at its end; and for other platforms dist/lifecycle.tgz and dist/lifecycle.oci.tar, the programs with which they build
# (tools/lifecycle.sh), and dist/buildpacks/, our buildpacks as packages (tools/packages.sh). With `all` also what needs
# the network: dist/builder and dist/run, a builder image and its run image (tools/builder.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
built=$target/static/x86_64-unknown-linux-gnu/release

tools/payload.sh
RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --quiet --release \
    --target x86_64-unknown-linux-gnu --target-dir "$target/static" \
    -p packlight -p platform --bin packlight --bin append-payload --bin package-buildpack --bin lifecycle-image \
    --bin create-builder
mkdir -p dist
"$built/append-payload" "$built/packlight" "$target/payload" dist/packlight
echo "dist/packlight: $(du -h --apparent-size dist/packlight | cut -f1), sha256 $(sha256sum <dist/packlight | cut -c1-64)"
tools/lifecycle.sh "$built/lifecycle-image"
tools/packages.sh "$built/package-buildpack"
if [ "${1:-}" = all ]; then tools/builder.sh "$built/create-builder"; fi
