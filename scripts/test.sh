#!/bin/sh
# Sets up what the tests need and runs them all: test.sh [ARGUMENTS OF PYTEST]
set -eu
cd "$(dirname "$0")/.."
export REQUIRE="${REQUIRE:-}"

sh scripts/setup.sh dev
echo "==> system packages"
sh scripts/system-packages.sh test
echo "==> gitlab-ci-local, by which rendered pipelines are run"
sh scripts/node-packages.sh
# Each once more, since registries fail now and then; then REQUIRE decides what may be missing.
echo "==> Kubernetes' control plane for tests, built beside what follows"
log=$(mktemp)
{
    .venv/bin/python -m tests.kubernetes.programs ||
        .venv/bin/python -m tests.kubernetes.programs
} >"$log" 2>&1 &
control_plane=$!
trap 'kill "$control_plane" 2>/dev/null || true; rm -f "$log"' EXIT
echo "==> products to measure; what can't be had is skipped and counted"
.venv/bin/deduplab systems install --all || .venv/bin/deduplab systems install --all || true
wait "$control_plane" || true
cat "$log"
rm -f "$log"
trap - EXIT
exec .venv/bin/python scripts/check.py "$@"
