#!/bin/sh
# Puts ONNX Runtime into build/runtime: the library of the official wheel, checked by its hash.
# Usage: scripts/fetch_runtime.sh DIR. Does nothing when DIR already holds this version. Needs python3 with pip.
set -eu
version=1.28.0
dir=${1:?directory}
mkdir -p "$dir"
stamp="$dir/$version"
[ -f "$stamp" ] && [ -f "$dir/libonnxruntime.so.1" ] && exit 0

case $(uname -m) in
    x86_64) platform=manylinux_2_28_x86_64 hash=a166b78ee04f3a37fa1ef82034b6a3ce96d9684e582d4d30b296de83e9998bb5 ;;
    aarch64) platform=manylinux_2_28_aarch64 hash=8d66f9ceb29909c70839e4e4fb3435c7b490050d8f162bd5f3aba4ca01ee517f ;;
    *) echo "fetch_runtime: no ONNX Runtime wheel for $(uname -m); set ERNIE_ORT_PATH to one" >&2; exit 1 ;;
esac

work=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
printf 'onnxruntime==%s --hash=sha256:%s\n' "$version" "$hash" > "$work/requirements.txt"
python=python3
if ! $python -m pip --version > /dev/null 2>&1; then
    if ! $python -m venv "$work/venv" > /dev/null 2>&1; then
        echo "python3 has neither pip nor venv here (Debian: package python3-venv); install that, or put" >&2
        echo "libonnxruntime.so.1 ($version) into $dir yourself" >&2
        exit 1
    fi
    python="$work/venv/bin/python"
fi
# The library inside is the same for every Python; one wheel is named so that one hash is enough.
$python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --python-version 3.11 --implementation cp --abi cp311 --platform "$platform" \
    --dest "$work" --requirement "$work/requirements.txt"
$python - "$work" "$version" "$dir" <<'PYTHON'
import glob, os, shutil, sys, zipfile

work, version, directory = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(work, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for name, target in [
        (f"onnxruntime/capi/libonnxruntime.so.{version}", "libonnxruntime.so.1"),
        ("onnxruntime/LICENSE", "LICENSE.onnxruntime"),
        ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.onnxruntime.txt"),
    ]:
        part = os.path.join(directory, target + ".part")
        with archive.open(name) as source, open(part, "wb") as out:
            shutil.copyfileobj(source, out)
        os.chmod(part, 0o755 if ".so" in target else 0o644)
        os.replace(part, os.path.join(directory, target))
PYTHON
: > "$stamp"
