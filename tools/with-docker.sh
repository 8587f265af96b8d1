#!/usr/bin/env bash
# tools/with-docker.sh COMMAND...: runs COMMAND with a Docker engine of its own (DOCKER_HOST is set), which is stopped
# and whose data are removed afterwards. The machine's own engine, if there is one, is neither used nor changed.
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
    # An engine needs root. One that already answers is the only other way to test against a real one.
    if docker version >/dev/null 2>&1; then
        echo "with-docker: not root, so the Docker engine that answers here is used" >&2
        exec "$@"
    fi
    echo "with-docker: the tests load images into a real Docker engine, and starting one needs root." >&2
    echo "             Run this as root, or start Docker and join the group docker." >&2
    exit 1
fi
command -v dockerd >/dev/null || { echo "with-docker: dockerd is missing; run \`make setup\`" >&2; exit 1; }

room=$(mktemp -d /tmp/packlight-docker.XXXXXX)   # short: a socket's path has 107 bytes
log=$room/dockerd.log
engine=
bridge=pl$$   # a bridge of its own: docker0 belongs to the machine's engine

stop() {
    if [ -n "$engine" ] && kill -TERM "$engine" 2>/dev/null; then
        wait "$engine" || true
    fi
    engine=
}

clean_up() {
    stop
    # What the engine left mounted would stop the removal of its data.
    { grep -o " $room/[^ ]*" /proc/self/mounts || true; } | sort -r | while read -r mounted; do
        umount -l "$mounted" || true
    done
    ip link delete "$bridge" 2>/dev/null || true
    rm -rf "$room"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start DRIVER: an engine without bridge rules; ports are published by its proxy, on loopback alone.
start() {
    rm -rf "$room/data"
    dockerd --host "unix://$room/docker.sock" --data-root "$room/data" --exec-root "$room/exec" \
        --pidfile "$room/docker.pid" --storage-driver "$1" --bridge "$bridge" --ip 127.0.0.1 \
        --iptables=false --ip6tables=false --ip-masq=false >"$log" 2>&1 &
    engine=$!
    for _ in $(seq 150); do
        if docker version >/dev/null 2>&1; then return 0; fi
        if ! kill -0 "$engine" 2>/dev/null; then break; fi
        sleep 0.2
    done
    stop
    return 1
}

ip link add "$bridge" type bridge
ip address add "10.213.$((RANDOM % 256)).1/24" dev "$bridge"
ip link set "$bridge" up

export DOCKER_HOST=unix://$room/docker.sock
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
# overlay2 needs a file system below it that carries overlays; vfs copies and works anywhere.
if ! start overlay2 && ! start vfs; then
    echo "with-docker: dockerd does not start here; its last words:" >&2
    tail -n 20 "$log" >&2
    exit 1
fi
"$@"
