#!/bin/sh
# The README's program, with the README's CMake lines, builds as shown and runs; its other C++ lines are those of an example;
# the README's commands of the tool run.
# Usage: readme.sh README PREFIX ROOT
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
block() { awk -v fence="\`\`\`$1" '$0 == fence {on = 1; next} /^```/ {on = 0} on' "$2"; }
block cpp "$1" > "$work/quick_tour.cpp"
block cmake "$1" > "$work/CMakeLists.txt"
[ "$(wc -l < "$work/quick_tour.cpp")" -ge 15 ]
diff "$work/quick_tour.cpp" "$3/cpp-examples/quick_tour.cpp"
# The lines of generation follow one another in the example, whatever their margins.
lines() { sed 's/^ *//' "$1" | tr '\n' '\001'; }
block c++ "$1" > "$work/generate"
[ "$(wc -l < "$work/generate")" -ge 5 ]
lines "$3/cpp-examples/generate.cpp" | grep -qaF -- "$(lines "$work/generate")"
cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$2" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" > "$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/build" > "$work/log" || { cat "$work/log"; exit 1; }
cd "$3"
"$work/build/quick_tour" | grep -q '2 texts'
# Every command but the two of make, with the prefix that is tested.
block sh "$1" | grep -v '^make' | sed "s|\$PWD/build/stage|@|g; s|build/stage|@|g; s|@|$2|g; s|build/quick_tour|$work/by_pkg_config|g" > "$work/commands"
[ "$(grep -c bin/ernie "$work/commands")" -ge 4 ]
grep -q pkg-config "$work/commands"
if ! command -v pkg-config > /dev/null; then
    echo "SKIPPED: no pkg-config" >&2
    sed -i '/PKG_CONFIG_PATH/d; /pkg-config/,/by_pkg_config models/d' "$work/commands"
fi
sh -e "$work/commands" > "$work/answers"
grep -q '"label":"positive"' "$work/answers"
grep -q '"outputs":{"logits":{"shape":\[1,2\]' "$work/answers"
grep -q '"finish":"[a-z_]*","token_ids":\[.*"sequences":\[' "$work/answers"
