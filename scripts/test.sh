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
echo "==> products to measure; what can't be had is skipped and counted"
# Once more, since registries fail now and then; then REQUIRE decides what may be missing.
.venv/bin/deduplab systems install --all || .venv/bin/deduplab systems install --all || true
exec .venv/bin/python scripts/check.py "$@"
