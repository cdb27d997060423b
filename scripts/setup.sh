#!/bin/sh
# Builds .venv: setup.sh run (what deduplab needs) or setup.sh dev (and what its tests need).
#
# Everything is pinned by version and hash in requirements/*.txt. A stamp in .venv records the
# inputs it was built from, so that nothing is done again until one of them changes.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
flavour=${1:-run}
case $flavour in
run) files=requirements/run.txt ;;
dev) files='requirements/run.txt requirements/dev.txt' ;;
*)
    echo "usage: scripts/setup.sh [run|dev]" >&2
    exit 2
    ;;
esac
stamp=.venv/.deduplab-$flavour
began=$(date +%s)

# The version file too: an editable install records the version in its metadata.
inputs() {
    echo "$root"
    # shellcheck disable=SC2086  # a list of words on purpose
    cat $files requirements/installer.txt pyproject.toml src/deduplab/__init__.py scripts/setup.sh \
        hatch_build.py src/deduplab/bound/*.[ch] | cksum
}

# A stale path in bin/activate means that the checkout was moved; a venv does not survive that.
works() {
    .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
        grep -qF "$root/.venv" .venv/bin/activate && of_the_python_asked_for
}

of_the_python_asked_for() {
    [ -n "${PYTHON:-}" ] || return 0
    wanted=$(sh scripts/find-python.sh 2>/dev/null) &&
        .venv/bin/python -c 'import os, sys
real = os.path.realpath
sys.exit(real(sys._base_executable) != real(sys.argv[1]))' "$wanted"
}

create() {
    python=$(sh scripts/find-python.sh)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "==> .venv: Python $version from $python"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "    this Python can't build virtual environments by itself"
        sh scripts/apt-install.sh "python$version-venv" || exit 1
    fi
    "$python" -m venv --clear .venv
}

# Proxies, own certificates and registries that pip was told of hold for uv as well.
with_pips_settings() {
    index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
    index=${PIP_INDEX_URL:-$index}
    extra=$(.venv/bin/python -m pip config get global.extra-index-url 2>/dev/null || true)
    extra=${PIP_EXTRA_INDEX_URL:-$extra}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    [ -z "$extra" ] || export UV_INDEX="$extra"
    [ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
    UV_SYSTEM_CERTS=1 "$@"
}

# uv fetches in parallel and is several times faster; pip alone is enough.
install() {
    if .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: -r requirements/installer.txt &&
        with_pips_settings .venv/bin/uv pip install --quiet --python .venv/bin/python \
            --require-hashes --only-binary :all: "$@"; then
        return
    fi
    echo "    uv could not (see above); once more with pip, which takes longer"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: "$@"
}

if works; then
    [ "$(cat "$stamp" 2>/dev/null)" = "$(inputs)" ] && exit 0
else
    create
fi
rm -f "$stamp"

set --
for file in $files; do set -- "$@" -r "$file"; done
echo "==> dependencies, checked by version and hash: $files"
install "$@"
echo "==> deduplab itself, editable"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index \
    --no-build-isolation --editable .
[ -e src/deduplab/bound/_native.so ] ||
    echo "    without its part in C (a C compiler builds it): a scan takes longer, and finds the same"
inputs >"$stamp"
echo "==> ready after $(($(date +%s) - began)) s: .venv/bin/deduplab"
