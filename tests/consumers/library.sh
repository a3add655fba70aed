#!/bin/sh
# What the installed library shows to the linker: exactly the symbols of the snapshot, its SONAME, never unloaded.
# Usage: library.sh LIBRARY SNAPSHOT. ERNIE_BLESS=1 writes the snapshot.
set -eu
symbols=$(nm -D --defined-only "$1" | awk '{print $3}' | LC_ALL=C sort)
[ -n "${ERNIE_BLESS:-}" ] && printf '%s\n' "$symbols" > "$2"
printf '%s\n' "$symbols" | diff "$2" -
if grep -v '^ernie_' "$2"; then echo "a symbol without the prefix ernie_" >&2; exit 1; fi
dynamic=$(readelf -d "$1")
printf '%s\n' "$dynamic" | grep -q 'SONAME.*\[libernie\.so\.0\]'
printf '%s\n' "$dynamic" | grep -q 'NODELETE'
if printf '%s\n' "$dynamic" | grep -q 'NEEDED.*onnxruntime'; then echo "linked to ONNX Runtime" >&2; exit 1; fi
