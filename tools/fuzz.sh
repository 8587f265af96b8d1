#!/usr/bin/env bash
# tools/fuzz.sh [--list|TARGET...]: runs each fuzz target (all that fuzz/Cargo.toml lists, unless some are named) for
# SECONDS_EACH seconds, 60 unless set, from the seeds in fuzz/corpus-seeds and from what earlier runs have found
# (target/fuzz/corpus). A crash, a hang or too much memory fails the run, and the input is kept and named.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${SECONDS_EACH:-60}
target_dir=${CARGO_TARGET_DIR:-target}/fuzz
mapfile -t targets < <(sed -n '/^\[\[bin\]\]/,/^path/s/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml)
if [ "${1:-}" = --list ]; then
    printf '%s\n' "${targets[@]}"
    exit 0
fi
if [ $# != 0 ]; then targets=("$@"); fi

# Most targets write small files: memory is faster than a disk, and does not wear out.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi

mkdir -p "$target_dir"
target_dir=$(realpath "$target_dir")
echo "fuzz: building the targets; the first time takes minutes"
cargo fuzz build --sanitizer none --target-dir "$target_dir"
programs=$target_dir/$(rustc -vV | sed -n 's/^host: //p')/release

failed=()
for target in "${targets[@]}"; do
    corpus=$target_dir/corpus/$target artifacts=$target_dir/artifacts/$target log=$target_dir/$target.log
    mkdir -p "$corpus" "$artifacts"
    # A target's own folder for temporary files, so that what a crash leaves is removed.
    scratch=$(mktemp -d)
    status=0
    TMPDIR=$scratch "$programs/$target" "$corpus" "fuzz/corpus-seeds/$target" \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -print_final_stats=1 -artifact_prefix="$artifacts/" >"$log" 2>&1 || status=$?
    chmod -R u+rwx "$scratch"; rm -rf "$scratch"
    stat() { sed -n "s/^stat::$1: *//p" "$log"; }
    if [ "$status" = 0 ]; then
        printf 'fuzz: %-22s %9s executions, %6s a second, %5s inputs kept\n' "$target" \
            "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" "$(find "$corpus" -type f | wc -l)"
        continue
    fi
    failed+=("$target")
    printf 'fuzz: %-22s FAILED; the whole output is in %s\n' "$target" "$log"
    grep -E "panicked at|^(assertion|  left|  right| right:| left:)|ERROR: libFuzzer|Test unit written" "$log" | sed 's/^/    /' || tail -n 20 "$log"
    found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    if [ -n "$found" ]; then
        echo "    once more: cargo fuzz run --sanitizer none --target-dir $target_dir $target $found"
    fi
done
if [ ${#failed[@]} != 0 ]; then
    echo "fuzz: ${#failed[@]} of ${#targets[@]} targets failed: ${failed[*]}"
    exit 1
fi
echo "fuzz: ${#targets[@]} targets, nothing found"
