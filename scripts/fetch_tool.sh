#!/bin/sh
# Puts a build tool into its own virtual environment: DIR/cmake or DIR/clang-format.
# Usage: scripts/fetch_tool.sh cmake|clang-format DIR. Needs python3 with venv and pip.
set -eu
case $1 in
    cmake) package=cmake==3.31.6 ;;
    clang-format) package=clang-format==19.1.7 ;;
    *) echo "fetch_tool: unknown tool $1" >&2; exit 2 ;;
esac
if ! python3 -m venv "$2/$1" > /dev/null 2>&1; then
    rm -rf "${2:?}/$1"
    echo "python3 has no venv with pip here (Debian: package python3-venv); install that, or $1 itself" >&2
    exit 1
fi
"$2/$1/bin/python" -m pip install --quiet --disable-pip-version-check "$package"
