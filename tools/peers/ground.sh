# shellcheck shell=bash
# Read by tools/peers.sh and bench/beside-pack.sh, which set $root and $target: what both need to have `pack` and the
# reference lifecycle beside ours. The programs (from their published Go modules, once), a directory that is removed at
# the end ($room, entered), a registry ($port), base images, lifecycles, and `builder`.
[ -n "${DOCKER_HOST:-}" ] || { echo "peers: no Docker engine: run this through tools/with-docker.sh" >&2; exit 1; }
bin=$target/peers/bin

# --- the peers' programs
mkdir -p "$bin"
[ -x "$bin/pack" ] ||
    (cd tools/peers/pack && CGO_ENABLED=0 go build -trimpath -o "$bin/pack" github.com/buildpacks/pack)
tools/reference.sh
[ -e dist/lifecycle.oci.tar ] || tools/lifecycle.sh

room=$(mktemp -d "$target/peers/room.XXXXXX")
registry=
clean_up() {
    if [ -n "$registry" ]; then kill "$registry" 2>/dev/null || true; fi
    rm -rf "$room"
}
trap clean_up EXIT
cd "$room"
export PACK_HOME=$room/pack-home PACK_VOLUME_KEY=peers
mkdir -p "$PACK_HOME"

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

# --- the lifecycles: a tarball each, and an image each, in which pack runs what needs root
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
