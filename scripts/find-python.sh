#!/bin/sh
# Prints the path of the newest Python that deduplab can be set up with, or says why there is none.
#
# Every candidate is run, not only looked up: a version manager leaves commands on the path for
# versions that are not active, and those fail when called. A Python that can build virtual
# environments is preferred to a newer one that can't. PYTHON=... in the environment is the
# only candidate if it is given.
set -u

probe='
import sys
if sys.version_info < (3, 11): sys.exit(1)
try:
    import ensurepip, venv
    able = 1
except ImportError:
    able = 0
path = getattr(sys, "_base_executable", None) or sys.executable
print(able, "%d%03d" % sys.version_info[:2], path)
'

best_rank=0
best_path=
if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- python3 python3.14 python3.13 python3.12 python3.11
fi
for name in "$@"; do
    answer=$("$name" -c "$probe" 2>/dev/null </dev/null) || continue
    able=${answer%% *}
    rest=${answer#* }
    rank=$able${rest%% *}
    if [ "$rank" -gt "$best_rank" ]; then
        best_rank=$rank
        best_path=${rest#* }
    fi
done

if [ -z "$best_path" ]; then
    if [ -n "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON is not a working Python 3.11 or newer; name another one." >&2
    else
        echo "deduplab needs Python 3.11 or newer, and none of python3, python3.14, python3.13," >&2
        echo "python3.12, python3.11 on the path works. On Debian 12+ or Ubuntu 24.04+:" >&2
        echo "    apt-get install python3 python3-venv" >&2
        echo "or name one yourself: make setup PYTHON=/path/to/python3" >&2
    fi
    exit 1
fi
printf '%s\n' "$best_path"
