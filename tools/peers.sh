#!/usr/bin/env bash
# tools/peers.sh: our lifecycle and our buildpacks under `pack`, and taking turns with the reference lifecycle, under a
# real Docker engine (tools/with-docker.sh) and a real registry. Both are built from their published Go modules, once.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
target=$(realpath "${CARGO_TARGET_DIR:-target}")
[ -e dist/buildpacks ] || tools/packages.sh
. tools/peers/ground.sh

mkdir app
echo "the app" >app/main
layers='[[buildpacks]]
uri = "'$root'/tools/peers/buildpack"
[[order]]
[[order.group]]
id = "test/layers"
version = "1.0.0"'
builder ours "$root/dist/lifecycle.tgz" "$layers"
builder reference "$room/reference.tgz" "$layers"

passed=0
# says WORDS...: the last build said each; is_silent_of WORDS: it did not say them.
says() {
    local words
    for words in "$@"; do
        grep -qF -- "$words" log || { echo "peers: no \"$words\" in:"; cat log; exit 1; }
    done
}
is_silent_of() { if grep -qF -- "$1" log; then echo "peers: \"$1\" in:"; cat log; exit 1; fi; }
# pack_build BUILDER IMAGE FLAGS...: of the folder `app`, or the one that $app names
pack_build() {
    local builder=$1 image=$2
    shift 2
    "$bin/pack" build "$image" --builder "test/builder:$builder" --path "${app:-app}" --pull-policy never \
        --docker-host inherit --no-color -v "$@" >log 2>&1 || { cat log; exit 1; }
}
found_all() {
    says "found kept.toml" "found kept/file" "found kept.sbom.cdx.json" "found launched.toml" \
        "found launched.sbom.cdx.json" "Reusing layer 'test/layers:launched'"
    is_silent_of "found launched/file"
}
ok() { passed=$((passed + 1)); echo "peers: ok: $1"; }

# --- pack with our lifecycle: each way twice
case_() { # WORDS IMAGE FLAGS...
    local words=$1 image=$2
    shift 2
    pack_build ours "$image" "$@"
    says "user 1001 on linux"
    is_silent_of "found "
    pack_build ours "$image" "$@"
    found_all
    ok "$words"
}
case_ "trusted, to the engine" app-trusted --trust-builder
[ "$(docker run --rm app-trusted)" = "it says the app" ]
case_ "untrusted, to the engine" app-untrusted --lifecycle-image test/lifecycle:ours
[ "$(docker run --rm app-untrusted)" = "it says the app" ]
case_ "trusted, published" "localhost:$port/team/trusted" --trust-builder --publish --network host
case_ "untrusted, published, with a cache image" "localhost:$port/team/untrusted" --publish --network host \
    --lifecycle-image test/lifecycle:ours --cache-image "localhost:$port/team/cache"

# --- pack reads our labels
"$bin/pack" inspect app-trusted >log 2>&1 || true
says "$run_image" "test/layers" "web (default)" "run-me" "Rebasable: true"
run_image two
"$bin/pack" rebase "localhost:$port/team/trusted" --publish --pull-policy never >log 2>&1 || { cat log; exit 1; }
says "Successfully rebased image"
ok "pack inspects and rebases what our lifecycle made"

# --- one cache and one image, by turns
pack_build reference app-turns --trust-builder
for it in ours reference ours; do
    pack_build "$it" app-turns --trust-builder
    found_all
    ok "$it takes over cache and image of the other"
done

# --- the reference rebases ours, and ours the reference's
lifecycle() { # PROGRAM ARGUMENTS...
    CNB_PLATFORM_API=0.12 "$@" >log 2>&1 || { cat log; exit 1; }
}
image=localhost:$port/team/untrusted
lifecycle "$room/reference/lifecycle/rebaser" -report "$room/report.toml" "$image"
run_image three
lifecycle "$target/lifecycle/lifecycle/rebaser" -report "$room/report.toml" "$image"
docker pull -q "$image" >/dev/null
[ "$(docker run --rm --entrypoint cat "$image" /etc/version)" = three ]
[ "$(docker run --rm "$image")" = "it says the app" ]
ok "either rebases what the other has rebased"

# --- our buildpacks as packages: one added to a builder, and a builder of all with the order that we have
packages=("$root"/dist/buildpacks/*.cnb)
procfile=$(echo "$root"/dist/buildpacks/packlight_procfile-*.cnb)
cp -r app app-procfile
echo "web: cat main" >app-procfile/Procfile
for it in ours reference; do
    app=app-procfile pack_build "$it" app-package --lifecycle-image "test/lifecycle:$it" --buildpack "$procfile"
    says "Procfile" "web: cat main"
    [ "$(docker run --rm app-package)" = "the app" ]
    ok "pack adds our buildpack to a builder, with the lifecycle: $it"
done
all=$(printf '[[buildpacks]]\nuri = "%s"\n' "${packages[@]}")'
[[order]]
[[order.group]]
id = "packlight/python"
optional = true
[[order.group]]
id = "packlight/procfile"
[[order.group]]
id = "packlight/apm"
optional = true'
builder packages-ours "$root/dist/lifecycle.tgz" "$all"
builder packages-reference "$room/reference.tgz" "$all"
for it in ours reference; do
    app=app-procfile pack_build "packages-$it" app-packages --trust-builder
    says "web: cat main"
    [ "$(docker run --rm app-packages)" = "the app" ]
    ok "pack makes a builder of our packages, with the lifecycle: $it"
done
"$bin/pack" buildpack inspect "$procfile" >log 2>&1 || { cat log; exit 1; }
says "packlight/procfile@" "Packlight: Procfile"
ok "pack inspects our package"
labels() { # PACKAGE: its labels without the digest of the layer, which each writer makes of its own tar
    skopeo inspect --config "oci-archive:$1" | python3 -c 'import json, re, sys
for name, value in sorted(json.load(sys.stdin)["config"]["Labels"].items()):
    print(name, json.dumps(json.loads(re.sub("sha256:[0-9a-f]{64}", "", value)), sort_keys=True))'
}
for it in "${packages[@]}"; do
    id=$(basename "$it" .cnb)
    "$bin/pack" buildpack package "$id.theirs.cnb" --format file --pull-policy never \
        --path "$target/payload/buildpacks/${id%-*}/${id##*-}" >log 2>&1 || { cat log; exit 1; }
    labels "$it" >labels.ours
    labels "$id.theirs.cnb" >labels.theirs
    diff -u labels.theirs labels.ours || { echo "peers: pack gives $id other labels" >&2; exit 1; }
done
ok "our packages have the labels that pack gives them"
for it in python agent builder steps; do . "$root/tools/peers/$it.sh"; done
echo "test result: ok. $passed passed; 0 failed; 0 ignored"
