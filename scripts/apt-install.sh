#!/bin/sh
# Installs Debian packages where that is allowed: apt-install.sh PACKAGE...
#
# Allowed means: there is an apt-get, and this is root or may use sudo without a password.
# Ends with 0 if everything is installed, else with 1 after saying what to type.
set -u

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=none
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "    not installed (there is no apt-get here): $*" >&2
    exit 1
fi
if [ "$as_root" = none ]; then
    echo "    not installed (that takes root); type: sudo apt-get install --no-install-recommends $*" >&2
    exit 1
fi

echo "    installing by apt-get: $*"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
install() {
    # A lock held by another apt is waited for, but not for ever.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$@" </dev/null >"$log" 2>&1
}
# The lists of a fresh machine are empty or old: fetch them only if the first try fails.
if install "$@" || { $as_root apt-get update </dev/null >"$log" 2>&1; install "$@"; }; then
    exit 0
fi
tail -n 5 "$log" >&2
echo "    apt-get could not install: $*" >&2
exit 1
