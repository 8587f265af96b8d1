#!/usr/bin/env bash
# tools/packages.sh [PACKER]: writes dist/buildpacks/<id>-<version>.cnb, each buildpack of target/payload as a package
# that other platforms take. The same sources give the same bytes. PACKER is `package-buildpack`, where it is built
# already; without it a development build of it is used.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
packer=${1:-}
new=dist/buildpacks.new

tools/payload.sh
if [ -z "$packer" ]; then
    cargo build --locked --quiet -p platform --bin package-buildpack
    packer=$target/debug/package-buildpack
fi
rm -rf "$new"
for it in "$target"/payload/buildpacks/*/*; do "$packer" "$it" "$new" >/dev/null; done
rm -rf dist/buildpacks
mv "$new" dist/buildpacks
for it in dist/buildpacks/*.cnb; do
    echo "$it: $(du -h --apparent-size "$it" | cut -f1), sha256 $(sha256sum <"$it" | cut -c1-64)"
done
