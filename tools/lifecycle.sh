#!/usr/bin/env bash
# tools/lifecycle.sh [IMAGER]: writes dist/lifecycle.tgz, what `[lifecycle] uri` of a builder.toml takes: lifecycle.toml
# and the programs of /cnb/lifecycle, one static file under each of their names, and the launcher; and the same as an
# image, dist/lifecycle.oci.tar. The same sources give the same bytes. IMAGER is `lifecycle-image`, where it is built
# already; without it a development build of it is used.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
built=$target/static/x86_64-unknown-linux-gnu/small
room=$target/lifecycle
imager=${1:-}

RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --quiet --profile small --bins \
    --target x86_64-unknown-linux-gnu --target-dir "$target/static" -p lifecycle -p launcher

rm -rf "$room"
mkdir -p "$room/lifecycle" dist
install -m 755 "$built/lifecycle" "$room/lifecycle/lifecycle"
install -m 755 "$built/launcher" "$room/lifecycle/launcher"
for it in analyzer builder creator detector exporter extender rebaser restorer; do
    ln -s lifecycle "$room/lifecycle/$it"
done
"$built/lifecycle" -descriptor >"$room/lifecycle.toml"
chmod 644 "$room/lifecycle.toml"
tar --create --directory "$room" --sort=name --format=ustar --mtime=@315532801 --owner=0 --group=0 --numeric-owner \
    --mode=go=u-w lifecycle.toml lifecycle | gzip --no-name --best >"$room.tgz"
mv "$room.tgz" dist/lifecycle.tgz
echo "dist/lifecycle.tgz: $(du -h --apparent-size dist/lifecycle.tgz | cut -f1) ($(du -h --apparent-size "$built/lifecycle" | cut -f1) unpacked), sha256 $(sha256sum <dist/lifecycle.tgz | cut -c1-64)"

if [ -z "$imager" ]; then
    cargo build --locked --quiet -p platform --bin lifecycle-image
    imager=$target/debug/lifecycle-image
fi
"$imager" "$room" dist/lifecycle.oci.tar
echo "dist/lifecycle.oci.tar: $(du -h --apparent-size dist/lifecycle.oci.tar | cut -f1), sha256 $(sha256sum <dist/lifecycle.oci.tar | cut -c1-64)"
