#!/bin/sh
# Runs all benchmarks one after the other: bench.sh [ARGUMENTS OF EVERY BENCHMARK]
set -eu
cd "$(dirname "$0")/.."

sh scripts/setup.sh run
echo "==> system packages"
sh scripts/system-packages.sh bench
# A threaded linear algebra library would add CPU time of its own to what is compared.
export OPENBLAS_NUM_THREADS=1

failed=
for benchmark in benchmarks/[!_]*.py; do
    echo "==> $benchmark"
    .venv/bin/python "$benchmark" "$@" </dev/null || failed="$failed $benchmark"
done
[ -z "$failed" ] && exit 0
echo "failed:$failed" >&2
exit 1
