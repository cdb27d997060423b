#!/bin/sh
# Sets up what the tests need and runs them all: test.sh [ARGUMENTS OF PYTEST]
set -eu
cd "$(dirname "$0")/.."
export REQUIRE="${REQUIRE:-}"

sh scripts/setup.sh dev
echo "==> system packages"
sh scripts/system-packages.sh test
exec .venv/bin/python scripts/check.py "$@"
