#!/bin/sh
# Puts ONNX Runtime into a directory: the libraries of the official wheel, checked by its hash.
# Usage: scripts/fetch_runtime.sh DIR [gpu | openvino]. Without a word it is the runtime for processors; `gpu` has CUDA and TensorRT as
# well, `openvino` OpenVINO. Does nothing when DIR already holds this version. Needs python3 with pip.
set -eu
dir=${1:?directory}
kind=${2:-cpu}
version=1.28.0
[ "$kind" = openvino ] && version=1.24.1
mkdir -p "$dir"
stamp="$dir/$version"
[ -f "$stamp" ] && [ -f "$dir/libonnxruntime.so.1" ] && exit 0

package=onnxruntime
case $(uname -m)-$kind in
    x86_64-cpu) platform=manylinux_2_28_x86_64 hash=a166b78ee04f3a37fa1ef82034b6a3ce96d9684e582d4d30b296de83e9998bb5 ;;
    aarch64-cpu) platform=manylinux_2_28_aarch64 hash=8d66f9ceb29909c70839e4e4fb3435c7b490050d8f162bd5f3aba4ca01ee517f ;;
    x86_64-gpu)
        package=onnxruntime-gpu platform=manylinux_2_28_x86_64
        hash=774d4c307317f7a0fefc33930820b7ac2a62be2c595e6a1e63e318555f7176b8 ;;
    x86_64-openvino)
        package=onnxruntime-openvino platform=manylinux_2_28_x86_64
        hash=3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8 ;;
    *) echo "fetch_runtime: no ONNX Runtime wheel ($kind) for $(uname -m); set ERNIE_ORT_PATH to one" >&2; exit 1 ;;
esac

work=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$hash" > "$work/requirements.txt"
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
import glob, os, re, shutil, sys, zipfile

work, version, directory = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(work, "*.whl"))
needs = set()
with zipfile.ZipFile(wheel) as archive:
    wanted = {
        f"onnxruntime/capi/libonnxruntime.so.{version}": "libonnxruntime.so.1",
        "onnxruntime/LICENSE": "LICENSE.onnxruntime",
        "onnxruntime/ThirdPartyNotices.txt": "ThirdPartyNotices.onnxruntime.txt",
    }
    for name in archive.namelist():
        # Providers, and what OpenVINO's comes with: by the name that the loader asks for.
        other = re.fullmatch(r"onnxruntime/capi/(lib(?:onnxruntime_providers_|openvino|tbb).*\.so(?:\.\d+)?)", name)
        if other and name not in wanted:
            wanted[name] = other[1]
    for name, target in wanted.items():
        part = os.path.join(directory, target + ".part")
        with archive.open(name) as source, open(part, "wb") as out:
            shutil.copyfileobj(source, out)
        os.chmod(part, 0o755 if ".so" in target else 0o644)
        os.replace(part, os.path.join(directory, target))
        if "providers_cuda" in target or "providers_tensorrt" in target:
            found = open(os.path.join(directory, target), "rb").read()
            names = rb"lib(?:cuda|cudart|cublas|cublasLt|curand|cufft|cudnn|nvrtc|nvinfer|nvonnxparser)\.so\.\d+"
            needs |= {match.decode() for match in re.findall(names, found)}
if needs:
    print("its providers look for", ", ".join(sorted(needs)))
PYTHON
: > "$stamp"
