#!/usr/bin/env bash
# tools/builder.sh [CREATOR [DIRECTORY]]: writes dist/builder and dist/run, OCI layouts of a builder image for other
# platforms and of its run image, on a base of Debian packages. RUN_IMAGE is the name under which the builder will look
# for the run image: push dist/run there. CREATOR is `create-builder`, where it is built already; without it a development
# build of it is used. DIRECTORY is one in place of dist. Needs the network: Debian's mirror. The same sources and packages
# give the same digests.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath "${CARGO_TARGET_DIR:-target}")
creator=${1:-}
dist=${2:-dist}
new=$dist/images.new

tools/payload.sh
[ -e "$target/lifecycle/lifecycle.toml" ] || tools/lifecycle.sh
if [ -z "$creator" ]; then
    cargo build --locked --quiet -p platform --bin create-builder
    creator=$target/debug/create-builder
fi
rm -rf "$new"
mkdir -p "$dist"
# A store of its own, kept: what is fetched and composed once is there the next time.
if ! PACKLIGHT_PAYLOAD=$target/payload PACKLIGHT_STORE=$target/builder-store "$creator" "$target/lifecycle" \
    buildpacks/builder-order.toml "${RUN_IMAGE:-localhost:5000/packlight/run:trixie}" "$new"; then
    rm -rf "$new"
    echo "builder: $dist/builder and $dist/run are not made" >&2
    exit 1
fi
rm -rf "$dist/builder" "$dist/run"
mv "$new/builder" "$new/run" "$dist/"
rmdir "$new"
for it in builder run; do
    echo "$dist/$it: $(du -sh --apparent-size "$dist/$it" | cut -f1)"
done
