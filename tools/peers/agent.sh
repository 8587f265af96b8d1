# shellcheck shell=bash
# Read by tools/peers.sh, after python.sh: agents in and out of images that pack has made, with either lifecycle, and what
# pack does with them afterwards. Needs the network, as python.sh does.

export PACKLIGHT_STORE=$room/agent-store
agent() {
    PACKLIGHT_PAYLOAD=$target/payload "$target/debug/packlight" agent "$@" >log 2>&1 || { cat log; exit 1; }
}
digests() { skopeo inspect --tls-verify=false "docker://$flask" | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["Layers"]))'; }
(cd "$root" && cargo build --locked --quiet -p packlight)

for it in ours reference; do
    flask=localhost:$port/team/flask-$it
    build_flask "$it" --env PACKLIGHT_AGENT=none --publish
    before=$(digests)
    agent add "$flask" --publish
    says "with opentelemetry"
    python3 - "$before" "$(digests)" <<'P' ||
import json, sys
before, after = map(json.loads, sys.argv[1:])
# The launcher's configuration and the bills of materials are others; the agent's two layers are new.
gone, new = [it for it in before if it not in after], [it for it in after if it not in before]
sys.exit(f"{len(gone)} layers gone, {len(new)} new" if (len(gone), len(new)) != (2, 4) else 0)
P
        exit 1
    docker pull -q "$flask" >/dev/null
    answers "Hello, World! This is Python 3.13"
    ok "an agent is added to an image that pack has made with the lifecycle: $it"

    "$bin/pack" inspect "$flask" >log 2>&1 || { cat log; exit 1; }
    says "packlight/apm" "packlight/python" "web (default)"
    echo "$it" >debian/run/etc/newer
    base "$run_image" 1001:1000
    docker push -q "$run_image" >/dev/null
    "$bin/pack" rebase "$flask" --publish --pull-policy never >log 2>&1 || { cat log; exit 1; }
    docker pull -q "$flask" >/dev/null
    [ "$(docker run --rm --entrypoint cat "$flask" /etc/newer)" = "$it" ] || { echo "peers: not rebased"; exit 1; }
    answers "Hello, World! This is Python 3.13"
    ok "pack rebases it, and it is observed as before"

    build_flask "$it" --publish
    says "layer venv: kept" "opentelemetry"
    docker pull -q "$flask" >/dev/null
    answers "Hello, World! This is Python 3.13"
    ok "pack builds it again, with the agent's buildpack in the builder"

    agent remove "$flask" --publish
    says "with no agent"
    docker pull -q "$flask" >/dev/null
    docker run --rm -e OTEL_TRACES_EXPORTER=console --entrypoint web "$flask" --version >log 2>&1
    says "gunicorn"
    is_silent_of "packlight: "
    ok "and the agent is taken out of it"
done
unset PACKLIGHT_STORE
flask=app-flask
