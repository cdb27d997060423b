#!/bin/sh
# Installs what the tests run pipelines with into .cache/node: pinned by version and hash.
#
# It never fails: what could not be installed is named, and the tests that need it skip and count.
set -u
cd "$(dirname "$0")/.." || exit 1
target=.cache/node
stamp=$target/.deduplab-stamp

command -v npm >/dev/null 2>&1 || {
    echo "    npm is missing (Node.js 20 or newer): no pipeline is run by gitlab-ci-local"
    exit 0
}
inputs=$(cat requirements/node/package.json requirements/node/package-lock.json | cksum)
[ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ] && exit 0

began=$(date +%s)
mkdir -p "$target"
cp requirements/node/package.json requirements/node/package-lock.json "$target/"
if (cd "$target" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >/dev/null; then
    echo "$inputs" >"$stamp"
    echo "    gitlab-ci-local after $(($(date +%s) - began)) s"
else
    echo "    gitlab-ci-local can't be installed (see above): what needs it is skipped"
fi
exit 0
