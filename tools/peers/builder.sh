# shellcheck shell=bash
# Read by tools/peers.sh, after python.sh: the builder image that `make dist` makes, compared with the one that pack makes of
# the same parts, and at work under pack and under Packlight. Needs the network, as python.sh does.

ours=localhost:$port/packlight/builder:trixie
stands_on=localhost:$port/packlight/run:trixie
RUN_IMAGE=$stands_on "$root/tools/builder.sh" "" "$room/images" >builder.log 2>&1 || { cat builder.log; exit 1; }
for it in "builder $ours" "run $stands_on"; do
    # shellcheck disable=SC2086
    set -- $it
    skopeo copy -q "oci:images/$1" "docker-daemon:$2" --dest-daemon-host "$DOCKER_HOST"
    skopeo copy -q "oci:images/$1" "docker://$2" --dest-tls-verify=false
done
before=$(sha256sum images/*/index.json)
RUN_IMAGE=$stands_on "$root/tools/builder.sh" "" "$room/images" >builder.log 2>&1 || { cat builder.log; exit 1; }
[ "$(sha256sum images/*/index.json)" = "$before" ] || { echo "peers: a builder made again is another"; exit 1; }
ok "our builder has the same digest when it is made again"

# --- pack's builder of the same parts
container=$(docker create "$stands_on" /)
docker commit -c 'USER 1000:1000' -c 'ENV CNB_USER_ID=1000' -c 'ENV CNB_GROUP_ID=1000' \
    -c 'ENV CNB_STACK_ID=packlight.trixie' "$container" test/build:trixie >/dev/null
docker rm "$container" >/dev/null
{
    echo "description = \"Packlight's buildpacks on Debian trixie\""
    printf '[[buildpacks]]\nuri = "%s"\n' "$target"/payload/buildpacks/*/*
    cat "$root/buildpacks/builder-order.toml"
    cat <<T
[stack]
id = "packlight.trixie"
build-image = "test/build:trixie"
run-image = "$stands_on"
[lifecycle]
uri = "$root/dist/lifecycle.tgz"
T
} >theirs.toml
"$bin/pack" builder create test/builder:theirs --config theirs.toml --pull-policy never >log 2>&1 || { cat log; exit 1; }
about() { # IMAGE: labels and configuration; of digests, and of what may tell the two tools apart, nothing
    docker inspect "$1" | python3 -c 'import json, re, sys
config = json.load(sys.stdin)[0]["Config"]
def plain(value):
    if isinstance(value, dict):
        return {name: plain(it) for name, it in value.items() if name != "createdBy"}
    if isinstance(value, list):
        return [plain(it) for it in value]
    return value or []
for name, value in sorted(config["Labels"].items()):
    if name.startswith("io.buildpacks.") and name != "io.buildpacks.rebasable":
        value = re.sub("sha256:[0-9a-f]{64}", "", value)
        try:
            value = plain(json.loads(value))
        except ValueError:
            pass
        print(name, json.dumps(value, sort_keys=True))
print(config["User"], config["WorkingDir"], *sorted(config["Env"]))'
}
files() { # IMAGE: owners and modes of what a builder has besides its base; a hard link is a file like another
    local container
    container=$(docker create "$1" /)
    docker export "$container" | tar -tv --numeric-owner |
        awk '/^l/ { print $1, $2, $6, $8; next } { sub(/^h/, "-"); print $1, $2, $6 }' |
        grep -E '^[^ ]+ [^ ]+ (cnb|layers|lifecycle|platform|workspace)(/| |$)' | sort -k 3
    docker rm "$container" >/dev/null
}
for it in about files; do
    "$it" test/builder:theirs >theirs
    "$it" "$ours" >ours
    [ -s ours ] || { echo "peers: nothing to compare" >&2; exit 1; }
    diff -u theirs ours || { echo "peers: pack makes another builder of the same parts" >&2; exit 1; }
done
ok "our builder has the labels, the configuration and the files that pack gives it"
"$bin/pack" builder inspect "$ours" >log 2>&1 || { cat log; exit 1; }
says "packlight/debian-layers" "$stands_on" "Packlight"

# --- the builder at work
trust=/etc/ssl/certs/ca-certificates.crt   # Whom this machine trusts, builds trust.
variables=()
for it in $(compgen -e | grep -E '^(PIP_|UV_|.*_(proxy|PROXY)$)' || true); do
    [ "$it" = PIP_FIND_LINKS ] || variables+=(--env "$it")
done
variables+=(--env "PACKLIGHT_DEBIAN_MIRROR=$archive" --env "PACKLIGHT_DEBIAN_SECURITY_MIRROR=$security")
pack_ours() { # IMAGE FLAGS...
    "$bin/pack" build "$1" --builder "$ours" --path "$root/examples/flask" --pull-policy never --docker-host inherit \
        --no-color -v --network host "${variables[@]}" --volume "$trust:$trust:ro" "${@:2}" >log 2>&1 ||
        { cat log; exit 1; }
    says "Python 3.13 from Debian trixie" "web: gunicorn my-app:app"
}
pack_ours app-flask --trust-builder
answers "Hello, World! This is Python 3.13"
ok "pack builds with our builder, trusted, to the engine"
pack_ours "localhost:$port/team/by-pack" --publish --lifecycle-image test/lifecycle:ours
docker pull -q "localhost:$port/team/by-pack" >/dev/null
docker tag "localhost:$port/team/by-pack" app-flask
answers "Hello, World! This is Python 3.13"
ok "pack builds with our builder, untrusted and published"
(cd "$root" && cargo build --locked --quiet -p packlight)
PACKLIGHT_PAYLOAD=$target/payload PACKLIGHT_STORE=$room/store "$target/debug/packlight" build "localhost:$port/team/by-packlight" \
    --publish --builder "oci:$room/images/builder" --path "$root/examples/flask" \
    "${variables[@]}" --volume "$trust:$trust:ro" >log 2>&1 || { cat log; exit 1; }
docker pull -q "localhost:$port/team/by-packlight" >/dev/null
docker tag "localhost:$port/team/by-packlight" app-flask
answers "Hello, World! This is Python 3.13"
ok "packlight builds with our builder"
layers_in() { # IMAGE: the app's layers, and the buildpacks', by their names
    skopeo inspect --config --tls-verify=false "docker://$1" | python3 -c 'import json, sys
data = json.loads(json.load(sys.stdin)["config"]["Labels"]["io.buildpacks.lifecycle.metadata"])
print("app", *(it["sha"] for it in data["app"]))
for buildpack in data["buildpacks"]:
    for name, layer in sorted(buildpack["layers"].items()):
        # Packlight knows more of the app than pack tells: its name, the commit; the agent hears of it.
        if layer["launch"] and (buildpack["key"], name) != ("packlight/apm", "config"):
            print(buildpack["key"], name, layer["sha"])'
}
layers_in "localhost:$port/team/by-pack" >theirs
layers_in "localhost:$port/team/by-packlight" >ours
for it in "app sha256:" "packlight/python venv sha256:" "packlight/apm opentelemetry sha256:"; do
    grep -q "^$it" ours || { echo "peers: no \"$it\" in:"; cat ours; exit 1; }
done
diff -u theirs ours || { echo "peers: pack and packlight make other layers with our builder" >&2; exit 1; }
ok "pack and packlight make the same layers with our builder"
