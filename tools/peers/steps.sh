# shellcheck shell=bash
# Read by tools/peers.sh, after builder.sh: our builder as Tekton's tasks and kpack's build pod use it: each step a
# container of its own, with the user, the volumes, the arguments and the environment that they give it.
#
#   https://github.com/tektoncd/catalog/tree/55dd80e/task/buildpacks/0.6
#   https://github.com/tektoncd/catalog/tree/55dd80e/task/buildpacks-phases/0.3
#   https://github.com/buildpacks-community/kpack/blob/bfa95d7/pkg/apis/build/v1alpha2/build_pod.go
#
# What is not theirs: a registry of this machine (so the host's network), and whom it trusts.

environment=("PACKLIGHT_DEBIAN_MIRROR=$archive" "PACKLIGHT_DEBIAN_SECURITY_MIRROR=$security")
for it in $(compgen -e | grep -E '^(PIP_|UV_|.*_(proxy|PROXY)$)' || true); do
    [ "$it" = PIP_FIND_LINKS ] || environment+=("$it=${!it}")
done
docker pull -q "$ours" >/dev/null

# step FLAGS...: a container of the builder with $mounts; what it says is added to the log.
step() {
    docker run --rm --network host -v "$trust:$trust:ro" "${mounts[@]}" "$@" >>log 2>&1 ||
        { echo "peers: the step failed:" "$@"; cat log; exit 1; }
}
# volumes NAMES...: new and empty, as an emptyDir is, which anybody may write to.
volumes() {
    local name
    for name in "$@"; do
        docker volume rm -f "$name" >/dev/null
        docker volume create "$name" >/dev/null
        docker run --rm --user 0:0 -v "$name:/it:nocopy" --entrypoint chmod "$ours" 0777 /it
    done
}
# source_into VOLUME: examples/flask, as whoever fetched it left it: root's.
source_into() {
    local container
    container=$(docker create -v "$1:/it" "$ours" /)
    docker cp -q "$root/examples/flask/." "$container:/it"
    docker rm "$container" >/dev/null
}
# as_files DIRECTORY: a script that writes its arguments NAME=VALUE as files.
# shellcheck disable=SC2016
as_files='mkdir -p "$0"; for it; do printf %s "${it#*=}" >"$0/${it%%=*}"; done'
restores() { # what a second build says
    says "layer venv: kept" "layer opentelemetry: kept" "Reusing layer 'packlight/python:venv'"
    is_silent_of "Choosing"
}
# runs IMAGE: what was pushed answers.
runs() {
    docker pull -q "$1" >/dev/null
    docker tag "$1" app-flask
    cp log steps.log
    answers "Hello, World! This is Python 3.13"
    cp steps.log log
}
digest_of() { skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$1"; }
# reports VOLUME IMAGE: report.toml names the digest that the registry has.
reports() {
    local said
    said=$(docker run --rm -v "$1:/it:ro" --entrypoint cat "$ours" /it/report.toml | sed -n 's/^digest = "\(.*\)"/\1/p')
    [ "$said" = "$(digest_of "$2")" ] || { echo "peers: report.toml says \"$said\""; exit 1; }
}

# --- Tekton's task `buildpacks`: the creator
tekton_creator() { # IMAGE
    local mounts=(-v steps-source:/workspace/source:nocopy -v steps-cache:/workspace/cache:nocopy -v steps-home:/tekton/home:nocopy
        -v steps-layers:/layers:nocopy -v steps-platform:/platform:nocopy -e CNB_PLATFORM_API=0.9 -e HOME=/tekton/home)
    : >log
    volumes steps-source steps-home steps-layers steps-platform
    source_into steps-source
    step --user 0:0 --entrypoint chown "$ours" -R 1000:1000 /workspace/cache /tekton/home /layers /workspace/source
    step --user 0:0 --entrypoint chmod "$ours" 775 /workspace/source
    step --user 0:0 --entrypoint sh "$ours" -c "$as_files" /platform/env "${environment[@]}"
    step --user 1000:1000 -e DOCKER_CONFIG= --entrypoint /cnb/lifecycle/creator "$ours" -app=/workspace/source/ \
        -cache-dir=/workspace/cache -cache-image= -uid=1000 -gid=1000 -layers=/layers -platform=/platform \
        -report=/layers/report.toml -process-type=web -skip-restore=false "-previous-image=$1" -run-image= "$1"
    reports steps-layers "$1"
}

# --- Tekton's task `buildpacks-phases`
phases=(-e CNB_PLATFORM_API=0.13)
# What its first step reads of the builder; it goes on with `builder` where there are no image extensions.
skopeo inspect --tls-verify=false "docker://$ours" | python3 -c 'import json, sys
image = json.load(sys.stdin)
labels = image["Labels"]
assert "0.13" in json.loads(labels["io.buildpacks.builder.metadata"])["lifecycle"]["apis"]["platform"]["supported"]
assert labels["io.buildpacks.extension.layers"] == "{}"
assert {"CNB_USER_ID=1000", "CNB_GROUP_ID=1000"} <= set(image["Env"])'
tekton_phases() { # IMAGE
    local mounts=(-v steps-source:/workspace/source:nocopy -v steps-cache:/workspace/cache:nocopy -v steps-layers:/layers:nocopy
        -e CNB_EXPERIMENTAL_MODE=silent -e HOME=/tekton/home)
    local platform=(-v steps-platform:/platform:nocopy) home=(-v steps-home:/tekton/home:nocopy)
    : >log
    volumes steps-source steps-home steps-layers steps-platform steps-kaniko
    source_into steps-source
    step --user 0:0 "${home[@]}" --entrypoint chown "$ours" -R 1000:1000 /workspace/cache /tekton/home /layers \
        /workspace/source
    step --user 0:0 "${platform[@]}" --entrypoint sh "$ours" -c "$as_files" /platform/env "${environment[@]}"
    step "${home[@]}" "${phases[@]}" --entrypoint /cnb/lifecycle/analyzer "$ours" -log-level=info -layers=/layers \
        -run-image= -cache-image= -uid=1000 -gid=1000 -insecure-registry= -tag= -skip-layers=false "$1"
    step "${platform[@]}" "${home[@]}" "${phases[@]}" --entrypoint /cnb/lifecycle/detector "$ours" -log-level=info \
        -app=/workspace/source/ -group=/layers/group.toml -plan=/layers/plan.toml -layers=/layers -platform=/platform
    # Its script takes the directory of layers from a variable that nobody sets.
    step "${home[@]}" "${phases[@]}" -v steps-kaniko:/kaniko:nocopy --entrypoint /cnb/lifecycle/restorer "$ours" \
        -log-level=info "-build-image=$ours" -group=/layers/group.toml -layers= -cache-dir=/workspace/cache \
        -cache-image= -uid=1000 -gid=1000 -insecure-registry= -skip-layers=false
    step "${platform[@]}" "${home[@]}" "${phases[@]}" --entrypoint /cnb/lifecycle/builder "$ours" -log-level=info \
        -app=/workspace/source/ -layers=/layers -group=/layers/group.toml -plan=/layers/plan.toml -platform=/platform
    step "${home[@]}" "${phases[@]}" --entrypoint /cnb/lifecycle/exporter "$ours" -log-level=info \
        -app=/workspace/source/ -layers=/layers -group=/layers/group.toml -cache-dir=/workspace/cache -cache-image= \
        -report=/layers/report.toml -process-type=web -uid=1000 -gid=1000 -insecure-registry= "$1"
    reports steps-layers "$1"
}

for it in tekton_creator tekton_phases; do
    volumes steps-cache
    image=localhost:$port/team/$it
    "$it" "$image"
    says "Python 3.13 from Debian trixie"
    before=$(digest_of "$image")
    "$it" "$image"
    restores
    [ "$(digest_of "$image")" = "$before" ] || { echo "peers: the second build made another image"; exit 1; }
    runs "$image"
    ok "the steps of $it, twice"
done

# --- kpack's build pod
restricted=(--user 1000:1000 --cap-drop ALL --security-opt no-new-privileges)
kpack() { # API IMAGE ANALYZER-ARGUMENTS...
    local api=(-e "CNB_PLATFORM_API=$1") image=$2 mounts=() name
    local home=(-v steps-home:/builder/home:nocopy -e HOME=/builder/home) layers=(-v steps-layers:/layers:nocopy)
    local platform=(-v steps-platform:/platform:nocopy) workspace=(-v steps-workspace:/workspace:nocopy)
    local cache=(-v steps-cache:/cache:nocopy) report=(-v steps-report:/var/report:nocopy)
    : >log
    volumes steps-home steps-layers steps-platform steps-workspace steps-report
    # The pod's fsGroup: a volume stays root's, and is writable for the group.
    for name in home layers platform workspace report cache; do
        docker run --rm --user 0:0 -v "steps-$name:/it:nocopy" --entrypoint sh "$ours" -c 'chown :1000 /it; chmod 2775 /it'
    done
    # prepare: the source, the user's variables and what is known of the commit
    source_into steps-workspace
    docker run --rm --user 0:0 "${workspace[@]}" --entrypoint sh "$ours" -c 'chown -R 1000:1000 /workspace/*'
    step "${restricted[@]}" "${platform[@]}" --entrypoint sh "$ours" -c "$as_files" /platform/env "${environment[@]}"
    step "${restricted[@]}" -v steps-layers:/projectMetadata:nocopy --entrypoint sh "$ours" -c 'printf "%s\n" "$@" >/projectMetadata/project-metadata.toml' \
        sh '[source]' 'type = "git"' '[source.metadata]' 'repository = "https://git.example.com/app"' 'revision = "main"' \
        '[source.version]' 'commit = "0123456789abcdef0123456789abcdef01234567"'
    step "${restricted[@]}" "${home[@]}" --entrypoint sh "$ours" -c 'mkdir -p ~/.docker; echo "{\"auths\":{}}" >~/.docker/config.json'
    step "${restricted[@]}" "${layers[@]}" "${workspace[@]}" "${home[@]}" "${api[@]}" -e SERVICE_BINDING_ROOT=/platform/bindings \
        --entrypoint /cnb/lifecycle/analyzer "$ours" -layers=/layers -analyzed=/layers/analyzed.toml \
        "-run-image=$stands_on" "-tag=$image:second" "${@:3}" "$image"
    step "${restricted[@]}" "${layers[@]}" "${platform[@]}" "${workspace[@]}" "${api[@]}" \
        --entrypoint /cnb/lifecycle/detector "$ours" -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml
    step "${restricted[@]}" "${layers[@]}" "${home[@]}" "${cache[@]}" "${api[@]}" --entrypoint /cnb/lifecycle/restorer \
        "$ours" -group=/layers/group.toml -layers=/layers -cache-dir=/cache -analyzed=/layers/analyzed.toml
    step "${restricted[@]}" "${layers[@]}" "${platform[@]}" "${workspace[@]}" "${api[@]}" \
        -e SERVICE_BINDING_ROOT=/platform/bindings --entrypoint /cnb/lifecycle/builder "$ours" -layers=/layers \
        -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml
    step "${restricted[@]}" "${layers[@]}" "${workspace[@]}" "${home[@]}" "${report[@]}" "${cache[@]}" "${api[@]}" \
        -e SOURCE_DATE_EPOCH=1700000000 -e "CNB_RUN_IMAGE=$stands_on" --entrypoint /cnb/lifecycle/exporter "$ours" \
        -layers=/layers -app=/workspace -group=/layers/group.toml -analyzed=/layers/analyzed.toml \
        -project-metadata=/layers/project-metadata.toml -cache-dir=/cache -process-type=web \
        -report=/var/report/report.toml "$image" "$image:second"
    # completion: the report, and the labels without which kpack takes no image
    reports steps-report "$image"
    [ "$(digest_of "$image")" = "$(digest_of "$image:second")" ] || { echo "peers: two tags, two images"; exit 1; }
    skopeo inspect --config --tls-verify=false "docker://$image" | python3 -c 'import json, sys
image = json.load(sys.stdin)
labels = image["config"]["Labels"]
assert labels["io.buildpacks.stack.id"] == "packlight.trixie"
assert json.loads(labels["io.buildpacks.project.metadata"])["source"]["version"]["commit"].startswith("0123")
assert json.loads(labels["io.buildpacks.lifecycle.metadata"])["stack"]["runImage"]["image"] == sys.argv[1]
assert [it["id"] for it in json.loads(labels["io.buildpacks.build.metadata"])["buildpacks"]][-1] == "packlight/apm"
# The time comes with Platform API 0.9.
assert image["created"].startswith("2023-11-14T" if sys.argv[2] == "0.9" else "1980-01-01T"), image["created"]' \
        "$stands_on" "$1"
}
image=localhost:$port/team/kpack
volumes steps-cache
kpack 0.9 "$image"
says "Python 3.13 from Debian trixie"
for it in 0.9 0.8 0.7; do
    kpack "$it" "$image" "-previous-image=$image@$(digest_of "$image")"
    restores
    runs "$image"
    ok "the steps of kpack's pod again, on Platform API $it"
done
docker volume rm -f steps-source steps-cache steps-home steps-layers steps-platform steps-kaniko steps-workspace \
    steps-report >/dev/null
