#!/usr/bin/env bash
# tools/setup.sh [demo|test|peers|bench|fuzz]: checks what the machine needs, says what is missing, and installs that (and
# nothing else) with apt. `demo` is enough to build and use Packlight; `test` (the default) adds the engine and the
# tools that the tests compare with; `peers` adds what other implementations are built with; `bench` adds the benchmarks' peers.
# `fuzz` is `demo` and the fuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-test}
tests() { [ "$purpose" != demo ] && [ "$purpose" != fuzz ]; }

fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

[ "$(uname -s)" = Linux ] || fail "Packlight builds on Linux only, so far"
[ "$(uname -m)" = x86_64 ] || fail "Packlight builds on x86-64 only, so far; $(uname -m) is not there yet"

# --- Rust: the version that Cargo.toml asks for. apt's own is often too old, so this is not installed unasked.
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
have=$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)
if [ -z "$have" ] || [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n1)" != "$wanted" ]; then
    fail "Rust $wanted or later is needed (${have:-none} found). With rustup:" \
         "    sudo apt-get install rustup && rustup default stable        # or rustup update"
fi
if tests; then
    for component in rustfmt:rustfmt clippy:cargo-clippy; do
        command -v "${component#*:}" >/dev/null || fail "${component%:*} is needed: rustup component add ${component%:*}"
    done
fi

# --- The rest comes from the system's package manager.
missing=()
# need COMMAND-OR-FILE PACKAGE WHY
need() {
    if ! command -v "$1" >/dev/null 2>&1; then
        missing+=("$2")
        printf 'setup: %-12s is missing: %s (package %s)\n' "$(basename "$1")" "$3" "$2"
    fi
}
# In newer releases the Docker client is a package of its own.
docker_client() { if apt-cache show docker-cli >/dev/null 2>&1; then echo docker-cli; else echo docker.io; fi; }

export PATH=$PATH:/usr/sbin:/sbin
need cc gcc "the linker"
[ -e /usr/lib/x86_64-linux-gnu/libc.a ] || need libc.a libc6-dev "static programs are linked against it"
need git git "an image says which commit it was built from"
need curl curl "the demo asks the app with it"
[ -e /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates.crt ca-certificates "HTTPS needs to know whom to trust"
if tests; then
    need dockerd docker.io "tests run built images under a real engine, started for them alone"
    need docker "$(docker_client)" "tests run built images with it"
    need iptables iptables "dockerd wants to find it"
    need ip iproute2 "the tests' engine gets a network bridge of its own"
    need docker-registry docker-registry "tests push to a real registry and pull from it"
    need htpasswd apache2-utils "tests log in at that registry"
    need openssl openssl "tests make certificates and sign tokens with it"
    need redis-server redis-server "tests of celery need a broker"
    need prometheus prometheus "tests let a real one scrape an app"
    need mvn maven "a test's Zipkin comes from Maven Central"
    need java default-jre-headless "a test's Zipkin runs on it"
    need zstd zstd "tests read layers that others have compressed"
    need skopeo skopeo "tests read what Packlight wrote with another's reader"
    need /usr/bin/python3 python3 "tests of the parts that are Python"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        need python3-venv python3-venv "tests make environments of their own"
    compgen -G '/usr/share/python-wheels/pip-*.whl' >/dev/null ||
        need pip.whl python3-pip-whl "the Python buildpack's tests install as a build does"
    need pasta passt "tests of an app's own network"
    need slirp4netns slirp4netns "tests of an app's own network"
    need script bsdutils "tests of a terminal"
    need pgrep procps "tests look for what was left behind"
    need runuser util-linux "tests of both root and an ordinary user"
fi
if [ "$purpose" = peers ] || [ "$purpose" = bench ]; then
    need go golang-go "pack and the reference lifecycle are built from their Go modules"
    need busybox busybox-static "the images that they build on are one static program"
fi
if [ "$purpose" = bench ]; then
    need hyperfine hyperfine "the benchmarks' stopwatch"
    need pigz pigz "what the export of a layer is compared with"
    need /usr/bin/time time "peak memory"
fi

fuzzer=
if [ "$purpose" = fuzz ]; then
    need c++ g++ "the fuzzer, libFuzzer, is C++"
    if ! command -v cargo-fuzz >/dev/null; then
        fuzzer=missing
        echo "setup: cargo-fuzz   is missing: it builds and starts the fuzz targets (crate cargo-fuzz, into ${CARGO_HOME:-~/.cargo}/bin)"
    fi
fi
# cargo-fuzz is no package of the system: cargo builds it.
done_with() {
    if [ -n "$fuzzer" ]; then run cargo install --locked cargo-fuzz; fi
    echo "setup: $1"
}
run() { echo "setup: running: $*"; "$@"; }

if [ ${#missing[@]} = 0 ]; then
    done_with "everything is here (Rust $have)"
    exit 0
fi
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
command -v apt-get >/dev/null || fail "apt-get is not here either: please install what is missing by hand"
root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "please run as root: apt-get install --no-install-recommends ${missing[*]}"
    root=(sudo)
fi
run "${root[@]}" apt-get update -q
run "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
done_with "done"
