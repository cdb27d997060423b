#!/bin/sh
# Recompiles the pinned requirements: lock.sh [--upgrade]
#
# Without --upgrade, pins stay where they are as far as pyproject.toml allows.
set -eu
cd "$(dirname "$0")/.."

pin() {
    echo "==> $output"
    # For every Python and platform at once. Neither a header nor the index: no registry's
    # address and no path of this machine may get into the files.
    .venv/bin/uv pip compile --quiet --no-config --system-certs \
        --universal --python-version 3.11 --only-binary :all: \
        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
        --annotation-style line --output-file "$output" "$@"
}

output=requirements/run.txt
pin --all-extras pyproject.toml requirements/build.in ${1:+"$1"}
output=requirements/dev.txt
pin --group pyproject.toml:dev --constraint requirements/run.txt ${1:+"$1"}
output=requirements/installer.txt
pin requirements/installer.in ${1:+"$1"}
