#!/bin/sh
# A program that uses the library prints nothing of its own, starts no thread that stays, and leaves no file behind.
# Usage: quiet.sh PROGRAM MODEL
set -eu
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cd "$home"
env -i HOME="$home" PATH="$PATH" ${ERNIE_ORT_PATH:+ERNIE_ORT_PATH="$ERNIE_ORT_PATH"} "$1" "$2" "很好" > "$home/../out.$$" 2> "$home/../err.$$"
status=0
[ -s "$home/../err.$$" ] && { cat "$home/../err.$$"; status=1; }
[ "$(wc -l < "$home/../out.$$")" = 2 ] || status=1
rm -f "$home/../out.$$" "$home/../err.$$"
left=$(find "$home" -mindepth 1)
[ -z "$left" ] || { echo "left behind: $left"; status=1; }
exit $status
