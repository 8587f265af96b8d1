#!/usr/bin/env bash
# tools/payload.sh [DIR]: builds the programs that Packlight brings along, small and static, and lays them out in DIR,
# target/payload unless named (docs/formats/payload.md). That folder is replaced as a whole, and only when something
# changed; of two that run at the same time one waits for the other.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
built=$target/static/x86_64-unknown-linux-gnu/small
to=${1:-$target/payload}

mkdir -p "$(dirname "$to")"
exec 9>"$to.lock"
flock 9
new=$(mktemp -d "$to.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"

# The modules that go along, and the program that is the same file under both names.
buildpacks=(debian-layers python procfile apm)
extensions=(debian)

packages=(-p launcher)
for it in "${buildpacks[@]}"; do packages+=(-p "buildpack-$it"); done
for it in "${extensions[@]}"; do packages+=(-p "extension-$it"); done
# A target directory of its own: other flags than those of the development build would rebuild everything each time.
RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --quiet --profile small --bins \
    --target x86_64-unknown-linux-gnu --target-dir "$target/static" "${packages[@]}"

# version FILE: the version that a descriptor names.
version() { sed -n 's/^version = "\(.*\)"/\1/p' "$1" | head -n 1; }

# The public mirrors of Debian, for a build that knows of no other: from the one file of public defaults.
mirrors() {
    local settings=crates/platform/src/settings.rs
    sed -n 's/^pub const DEFAULT_DEBIAN_MIRROR: &str = \(".*"\);/archive = [\1]/p' "$settings"
    sed -n 's/^pub const DEFAULT_DEBIAN_SECURITY_MIRROR: &str = \(".*"\);/security = [\1]/p' "$settings"
}

# place KIND CRATE PACKAGE NAMES...: one module's folder, with the package's program under each name, and any other
# program and the files of assets/ beside it.
place() {
    local kind=$1 crate=$2 package=$3 descriptor folder program name
    shift 3
    descriptor=buildpacks/$crate/$kind.toml
    folder=$new/${kind}s/packlight_$crate/$(version "$descriptor")
    mkdir -p "$folder/bin"
    install -m 644 "$descriptor" "$folder/$kind.toml"
    install -m 755 "$built/$package" "$folder/bin/$1"
    for name in "${@:2}"; do ln "$folder/bin/$1" "$folder/bin/$name"; done
    for program in $(sed -n '/^\[\[bin\]\]/,/^$/s/^name = "\(.*\)"/\1/p' "buildpacks/$crate/Cargo.toml"); do
        if [ "$program" != "$package" ]; then install -m 755 "$built/$program" "$folder/bin/$program"; fi
    done
    if [ "$crate" = debian-layers ]; then mirrors >"$folder/mirrors.toml"; fi
    if [ -d "buildpacks/$crate/assets" ]; then cp -r --no-preserve=mode "buildpacks/$crate/assets" "$folder/assets"; fi
}

install -m 755 "$built/launcher" "$new/launcher"
install -m 644 buildpacks/order.toml "$new/order.toml"
for it in "${buildpacks[@]}"; do place buildpack "$it" "buildpack-$it" detect build; done
for it in "${extensions[@]}"; do place extension "$it" "extension-$it" detect; done

if ! diff -rq "$new" "$to" >/dev/null 2>&1; then
    # Where this mv can, there is no moment without the folder: programs may be reading it.
    if [ -e "$to" ] && mv --exchange --no-target-directory "$new" "$to" 2>/dev/null; then
        :
    else
        if [ -e "$to" ]; then mv "$to" "$new.old"; fi
        mv "$new" "$to"
        rm -rf "$new.old"
    fi
fi
echo "$to: $(du -sh --apparent-size "$to" | cut -f1) of programs"
