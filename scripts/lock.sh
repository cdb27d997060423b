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

# npm's lock as well, where npm is; without addresses, so that any registry can serve it.
if command -v npm >/dev/null 2>&1; then
    echo "==> requirements/node/package-lock.json"
    (cd requirements/node && npm install --package-lock-only --ignore-scripts --no-audit --no-fund \
        --omit-lockfile-registry-resolved --loglevel=error)
    .venv/bin/python - requirements/node/package-lock.json <<'END'
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
lock = json.loads(path.read_text())
for package in lock["packages"].values():
    package.pop("funding", None)
path.write_text(json.dumps(lock, indent=2) + "\n")
END
fi
