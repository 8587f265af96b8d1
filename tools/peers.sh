#!/usr/bin/env bash
# tools/peers.sh: our lifecycle and our buildpacks under `pack`, and taking turns with the reference lifecycle, under a
# real Docker engine (tools/with-docker.sh) and a real registry. Both are built from their published Go modules, once.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
target=$(realpath "${CARGO_TARGET_DIR:-target}")
bin=$target/peers/bin
[ -n "${DOCKER_HOST:-}" ] || { echo "peers: no Docker engine: run this through tools/with-docker.sh" >&2; exit 1; }

# --- the peers' programs
build() { # MODULE OUTPUT PACKAGE
    [ -x "$bin/$2" ] || (cd "tools/peers/$1" && CGO_ENABLED=0 go build -trimpath -o "$bin/$2" "$3")
}
mkdir -p "$bin"
build pack pack github.com/buildpacks/pack
tools/reference.sh
[ -e dist/lifecycle.oci.tar ] || tools/lifecycle.sh
[ -e dist/buildpacks ] || tools/packages.sh

room=$(mktemp -d "$target/peers/room.XXXXXX")
registry=
clean_up() {
    if [ -n "$registry" ]; then kill "$registry" 2>/dev/null || true; fi
    rm -rf "$room"
}
trap clean_up EXIT
cd "$room"
export PACK_HOME=$room/pack-home PACK_VOLUME_KEY=peers
mkdir -p "$PACK_HOME" app
echo "the app" >app/main

# --- a registry of this machine, at a port that nobody has
port=$((20000 + RANDOM % 20000))
cat >registry.yml <<T
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $room/registry}}
http: {addr: "localhost:$port"}
T
docker-registry serve registry.yml >registry.log 2>&1 &
registry=$!
run_image=localhost:$port/test/run:1

# --- base images: one static program
mkdir -p root/bin root/etc root/tmp root/home/cnb
cp "$(command -v busybox)" root/bin/busybox
for it in cat env grep id mkdir printf sh; do ln -s busybox "root/bin/$it"; done
printf 'root:x:0:0::/root:/bin/sh\ncnb:x:1001:1000::/home/cnb:/bin/sh\n' >root/etc/passwd
chmod 1777 root/tmp
tar -C root --owner=1001 --group=1000 -c . | docker import -c 'ENV PATH=/bin' -c 'ENV CNB_USER_ID=1001' \
    -c 'ENV CNB_GROUP_ID=1000' -c 'USER 1001:1000' - test/build:1 >/dev/null
run_image() { # TEXT
    echo "$1" >root/etc/version
    tar -C root --owner=0 --group=0 -c . | docker import -c 'ENV PATH=/bin' -c 'USER 1001:1000' - "$run_image" >/dev/null
    docker push -q "$run_image" >/dev/null
}
run_image one

# --- the lifecycles: a tarball each, and an image each, in which pack runs what needs root; ours are what a user gets
mkdir -p reference/lifecycle
cp "$bin/lifecycle" "$bin/launcher" reference/lifecycle/
for it in analyzer builder creator detector exporter extender rebaser restorer; do
    ln -s lifecycle "reference/lifecycle/$it"
done
cat >reference/lifecycle.toml <<'T'
[apis.buildpack]
supported = ["0.7", "0.8", "0.9", "0.10", "0.11"]
[apis.platform]
supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14"]
[api]
platform = "0.7"
buildpack = "0.7"
[lifecycle]
version = "0.20.12"
T
tar -C reference -czf reference.tgz lifecycle.toml lifecycle
mkdir -p image-reference/cnb image-reference/tmp image-reference/etc
tar -xzf reference.tgz -C image-reference/cnb
echo 'root:x:0:0::/:/bin/sh' >image-reference/etc/passwd
chmod 1777 image-reference/tmp
tar -C image-reference --owner=0 --group=0 -c . | docker import -c 'WORKDIR /layers' - test/lifecycle:reference >/dev/null
skopeo copy -q "oci-archive:$root/dist/lifecycle.oci.tar" docker-daemon:test/lifecycle:ours --dest-daemon-host "$DOCKER_HOST"

layers='[[buildpacks]]
uri = "'$root'/tools/peers/buildpack"
[[order]]
[[order.group]]
id = "test/layers"
version = "1.0.0"'
builder() { # NAME LIFECYCLE BUILDPACKS-WITH-ORDER
    cat >"$1.toml" <<T
$3
[[targets]]
os = "linux"
arch = "amd64"
[build]
image = "test/build:1"
[[run.images]]
image = "$run_image"
[lifecycle]
uri = "$2"
T
    "$bin/pack" builder create "test/builder:$1" --config "$1.toml" --pull-policy never >builder.log
}
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
for it in python builder steps; do . "$root/tools/peers/$it.sh"; done
echo "test result: ok. $passed passed; 0 failed; 0 ignored"
