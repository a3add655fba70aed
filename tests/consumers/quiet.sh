#!/bin/sh
# A program that uses the library writes nothing of its own and leaves no file behind, neither at home nor where it runs.
# Usage: quiet.sh PROGRAM MODEL
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/home"
cd "$work/home"
status=0
env -i HOME="$work/home" TMPDIR="$work/home" PATH="$PATH" ${ERNIE_ORT_PATH:+ERNIE_ORT_PATH="$ERNIE_ORT_PATH"} \
    "$1" "$2" > "$work/printed" 2>&1 || status=1
if [ -s "$work/printed" ]; then cat "$work/printed"; status=1; fi
left=$(find "$work/home" -mindepth 1)
if [ -n "$left" ]; then echo "left behind: $left"; status=1; fi
exit $status
