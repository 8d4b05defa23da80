#!/usr/bin/env bash
# Measures training and generation on a GPU and prints a Markdown table with the device, its driver, its clocks and the spread.
#
#     benches/gpu.sh                                       # builds, then measures cuda:0
#     GPU=cuda:1 REPEAT=9 benches/gpu.sh
#     GPU=wgpu benches/gpu.sh                              # the best adapter of wgpu
#     BINARY=./gpu CENSUS=./census.csv.gz ./gpu.sh         # a machine without Cargo: carry these three files there
#
# ENGINE_BENCH_QUICK=1 goes through everything once with small sizes; its figures mean nothing. The binary is made by
#     cargo build --release --package engine-benches --features cuda --bin gpu           # or wgpu, or both
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
device=${GPU:-cuda:0}
repeat=${REPEAT:-5}
census=${CENSUS:-$here/../examples/data/census.csv.gz}
index=${device#*:}
[[ $index =~ ^[0-9]+$ ]] || index=0

binary() {
    if [[ -n ${BINARY:-} ]]; then
        echo "$BINARY"
        return
    fi
    (cd "$here/.." && cargo build --locked --release --package engine-benches --features "${device%%:*}" --bin gpu >&2)
    local target=${CARGO_TARGET_DIR:-$here/../target}
    [[ $target == /* ]] || target=$here/../$target
    echo "$target/release/gpu"
}

# What the driver's own tool says of the device now.
clocks() {
    if command -v nvidia-smi > /dev/null; then
        nvidia-smi --id="$index" --format=csv,noheader \
            --query-gpu=clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu,power.draw,power.limit || true
    else
        echo "nvidia-smi is not there"
    fi
}

binary=$(binary)
echo "date: $(date -u +%Y-%m-%d)"
if command -v nvidia-smi > /dev/null; then
    echo "driver: $(nvidia-smi --id="$index" --format=csv,noheader --query-gpu=name,driver_version,memory.total || true)"
fi
echo "processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg)"
echo "clocks before (SM, at most, memory, temperature, power, at most): $(clocks)"
"$binary" "$device" "$census" "$repeat"
echo
echo "clocks after: $(clocks)"
