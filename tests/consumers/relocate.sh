#!/bin/sh
# A prefix that was moved still serves: CMake and pkg-config find it, the programs find the library and the runtime.
# Usage: relocate.sh PREFIX EXAMPLES MODEL
set -eu
unset ERNIE_ORT_PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$1" "$work/moved prefix"
cmake -S "$2" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/moved prefix" > "$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/build" > "$work/log" || { cat "$work/log"; exit 1; }
"$work/build/quick_tour" "$3" | grep -q '2 texts, [0-9]* dimensions each'
"$work/build/c_api" "$3" "房间很干净" | grep -q '^positive'
printf '%s\n' '房间很脏' '非常满意' | "$work/build/sentiment" "$3" - > "$work/answers"
[ "$(awk '{print $1}' "$work/answers" | tr '\n' ' ')" = "negative positive " ]
"$work/moved prefix/bin/ernie" infer "$3" < /dev/null
ldd "$work/build/quick_tour" | grep -q "$work/moved prefix"
# The prefix has a blank, which pkg-config quotes for a shell.
if command -v pkg-config > /dev/null; then
    flags=$(PKG_CONFIG_PATH="$work/moved prefix/lib/pkgconfig" pkg-config --cflags --libs ernie)
    eval "${CXX:-c++} -std=c++17 \"$2/quick_tour.cpp\" $flags -o \"$work/by_pkg_config\""
    LD_LIBRARY_PATH="$work/moved prefix/lib" "$work/by_pkg_config" "$3" > /dev/null
fi
