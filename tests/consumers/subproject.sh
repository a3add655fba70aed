#!/bin/sh
# A project that takes this one in with add_subdirectory links ernie::ernie, and its program finds the library.
# Usage: subproject.sh ROOT. CARGO names the cargo to use.
set -eu
unset ERNIE_ORT_PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/CMakeLists.txt" << END
cmake_minimum_required(VERSION 3.16)
project(user LANGUAGES CXX)
add_subdirectory("$1" ernie)
add_executable(quick_tour "$1/cpp-examples/quick_tour.cpp")
target_compile_features(quick_tour PRIVATE cxx_std_17)
target_link_libraries(quick_tour PRIVATE ernie::ernie)
END
{
    cmake -S "$work" -B "$work/build" -DCMAKE_INSTALL_PREFIX="$work/prefix" ${CARGO:+-DCARGO="$CARGO"} &&
        cmake --build "$work/build" &&
        cmake --install "$work/build"
} > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/build/quick_tour" "$1/models/demo" | grep -q '2 texts'
# Installing the user's project must not install this one with it.
[ ! -e "$work/prefix/lib" ] && [ ! -e "$work/prefix/include" ]
