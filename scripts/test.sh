#!/bin/sh
# Sets up what the tests need and runs them all: test.sh [ARGUMENTS OF PYTEST]
set -eu
cd "$(dirname "$0")/.."
export REQUIRE="${REQUIRE:-}"

sh scripts/setup.sh dev
echo "==> system packages"
sh scripts/system-packages.sh test
echo "==> products to measure; what can't be had is skipped and counted"
.venv/bin/deduplab systems install --all || true
exec .venv/bin/python scripts/check.py "$@"
