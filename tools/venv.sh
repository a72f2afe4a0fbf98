#!/bin/sh
# Make the virtual environment $1, unless it is there and works: with the $PYTHON given, or the first that will do.
set -eu

venv=$1

works() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# A copied folder or an upgraded Python leaves an environment that only looks like one.
if works "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

# Each is tried and not only looked up: a version manager puts commands on the PATH that run no Python.
for python in "${PYTHON:-python3.11}" python3 python3.12 python3.13 python3.14; do
    if works "$python"; then
        echo "Making $venv with $("$python" --version) …"
        rm -rf "$venv"
        exec "$python" -m venv "$venv"
    fi
done

echo "Mendline needs Python 3.11 or newer with the venv module, and found none." >&2
echo "Install it (Debian, Ubuntu: python3 python3-venv), or name one: make PYTHON=/path/to/python3.11" >&2
exit 1
