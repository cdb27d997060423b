#!/bin/sh
# Installs what scripts/system-packages.txt lists for a target (test or bench), where it may.
#
# It never fails: what could not be installed is named with what it is for, and whoever needs
# it skips (and counts) what can't be done.
set -u
cd "$(dirname "$0")/.." || exit 1
target=$1

missing=
while read -r package command for_target reason; do
    case $package in '' | '#'*) continue ;; esac
    [ "$for_target" = "$target" ] || continue
    command -v "$command" >/dev/null 2>&1 && continue
    echo "    $command (package $package) is missing: $reason"
    missing="$missing $package"
done <scripts/system-packages.txt

[ -z "$missing" ] && exit 0
# One package a call: one that this machine does not offer must not keep the others away.
for package in $missing; do
    sh scripts/apt-install.sh "$package" || echo "    what needs $package is skipped"
done
exit 0
