# shellcheck shell=bash
# Read by tools/peers.sh: our Python and agent buildpacks under pack, on a base of Debian's that has no Python. The
# interpreter comes as layers of unpacked Debian packages. Needs the network: Debian's mirror and the package index that
# this machine uses.

mirrors() { # archive|security: what this machine's own apt asks
    grep -rhoE 'https?://[^ ]+/debian(-security)?/? ' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null ||
        sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources
}
archive=$(mirrors | tr -d ' ' | grep -v -- '-security/*$' | head -n 1)
security=$(mirrors | tr -d ' ' | grep -- '-security/*$' | head -n 1)

# --- a base: Debian's programs and C library, composed by our own crate, without Python
(cd "$root" && cargo build --locked --quiet -p debian --example compose)
"$target/debug/examples/compose" trixie "$room/debian" >compose.log 2>&1 || { cat compose.log; exit 1; }
sh "$room/debian/finish" >finish.log 2>&1 || { cat finish.log; exit 1; }
# Whom this machine trusts, builds trust.
cp /etc/ssl/certs/ca-certificates.crt debian/run/etc/ssl/certs/ca-certificates.crt
base() { # REFERENCE USER MORE...
    tar -C debian/run --owner=0 --group=0 -c . | docker import -c "USER $2" "${@:3}" \
        -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$1" >/dev/null
}
base test/build:1 1000:1000 -c 'ENV CNB_USER_ID=1000' -c 'ENV CNB_GROUP_ID=1000'
base "$run_image" 1001:1000
docker push -q "$run_image" >/dev/null

all=$(printf '[[buildpacks]]\nuri = "%s"\n' "${packages[@]}")'
[[order]]
[[order.group]]
id = "packlight/debian-layers"
[[order.group]]
id = "packlight/python"
[[order.group]]
id = "packlight/procfile"
optional = true
[[order.group]]
id = "packlight/apm"
optional = true'
for it in ours reference; do
    [ "$it" = ours ] && lifecycle=$root/dist/lifecycle.tgz || lifecycle=$room/reference.tgz
    builder "python-$it" "$lifecycle" "$all"
done

# build_flask BUILDER MORE...: examples/flask, with what this machine's own pip and apt are told; as $flask
flask=app-flask
build_flask() {
    local name variables=()
    for name in $(compgen -e | grep -E '^(PIP_|UV_|.*_(proxy|PROXY)$)' || true); do
        [ "$name" = PIP_FIND_LINKS ] || variables+=(--env "$name")
    done
    app=$root/examples/flask pack_build "python-$1" "$flask" --trust-builder --network host "${variables[@]}" \
        --env "PACKLIGHT_DEBIAN_MIRROR=$archive" --env "PACKLIGHT_DEBIAN_SECURITY_MIRROR=$security" "${@:2}"
}
answers() { # TEXT: the app, with the agent awake
    local container port=$((40000 + RANDOM % 10000)) answer=
    container=$(docker run -d --network host -e "PORT=$port" -e OTEL_TRACES_EXPORTER=console "$flask")
    for _ in $(seq 150); do
        answer=$(curl -s "http://127.0.0.1:$port/") && break
        sleep 0.2
    done
    for _ in $(seq 50); do
        docker logs "$container" >log 2>&1
        if grep -qF '"kind": "SpanKind.SERVER"' log; then break; fi
        sleep 0.2
    done
    docker rm -f "$container" >/dev/null
    case $answer in *"$1"*) ;; *) echo "peers: not \"$1\" but \"$answer\""; cat log; exit 1 ;; esac
    says '"name": "GET /"' '"kind": "SpanKind.SERVER"' "opentelemetry"
}
build_flask ours
says "Fetching and unpacking" "Python 3.13 from Debian trixie" "Installing uv" "web: gunicorn my-app:app"
answers "Hello, World! This is Python 3.13"
ok "our Python and agent buildpacks under pack, with our lifecycle: an answer and its span"
layers_of() { docker inspect --format '{{json .RootFS.Layers}}' app-flask; }
before=$(layers_of)
for it in reference ours; do
    build_flask "$it"
    says "layer packages: kept" "layer venv: kept" "layer opentelemetry: kept"
    is_silent_of "Choosing"
    answers "Hello, World! This is Python 3.13"
    ok "the same again with the lifecycle: $it, and nothing is fetched or chosen anew"
done
[ "$(layers_of)" = "$before" ] || { echo "peers: the layers are others than before: $before, now $(layers_of)"; exit 1; }
ok "the layers are the same after a build by the other lifecycle"
