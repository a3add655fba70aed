#!/usr/bin/env python3
"""Packs what gpu_check.py needs on a machine without network: libernie, the runtime for GPUs, texts, and models of every kind.

    gpu_pack.py --library libernie.so --runtime DIR OUT

OUT then holds `pack.NNN`, pieces of a compressed archive of 60 MB at most, and `pack.json` with their hashes. gpu_check.py takes
pieces from any number of folders, and goes on when all are there: they may travel one by one.
"""

import argparse
import gzip
import hashlib
import json
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIECE = 60_000_000
sys.path.insert(0, str(ROOT / "benches/peers"))


class Pieces:
    """A file to write to, which becomes several."""

    def __init__(self, out):
        self.out, self.names, self.file, self.left = out, [], None, 0

    def write(self, data):
        data = memoryview(data)
        written = len(data)
        while len(data):
            if not self.left:
                self.close()
                self.names.append(f"pack.{len(self.names):03}")
                self.file, self.left = (self.out / self.names[-1]).open("wb"), PIECE
            part = data[: self.left]
            self.file.write(part)
            self.left -= len(part)
            data = data[len(part) :]
        return written

    def flush(self):
        pass

    def close(self):
        if self.file:
            self.file.close()
        self.file = None


def models(golden):
    """Encoders and heads of every format, as the golden data has them; the demo model always."""
    found = {"demo": ROOT / "models/demo"}
    # One-layer networks among them.
    found |= {path.name: path for path in sorted((ROOT / "tests/fixtures/checkpoints").iterdir()) if path.is_dir()}
    if golden.is_dir():
        for case in sorted(golden.iterdir()):
            if case.is_dir() and case.name[:2] in ("01", "02", "03", "04", "05", "08", "09"):
                found[case.name] = case
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--golden", type=Path, default=ROOT / "../shared/data/golden")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    chosen = parser.parse_args()
    from workloads import Texts

    chosen.out.mkdir(parents=True, exist_ok=True)
    for old in chosen.out.glob("pack.*"):
        old.unlink()
    texts = Texts(chosen.data, None, False)
    (chosen.out / "texts.json").write_text(json.dumps({"vocabulary": texts.vocabulary, **texts.as_json()}))
    pieces = Pieces(chosen.out)
    with (
        gzip.GzipFile(fileobj=pieces, mode="wb", compresslevel=6, filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", dereference=True) as archive,
    ):
        archive.add(chosen.library, "lib/libernie.so")
        archive.add(chosen.out / "texts.json", "texts.json")
        for file in sorted(chosen.runtime.glob("lib*.so*")):
            archive.add(file, f"runtime/{file.name}")
        for name, path in models(chosen.golden).items():
            archive.add(path, f"models/{name}")
    pieces.close()
    (chosen.out / "texts.json").unlink()
    hashes = {name: hashlib.sha256((chosen.out / name).read_bytes()).hexdigest() for name in pieces.names}
    (chosen.out / "pack.json").write_text(json.dumps({"pieces": hashes}, indent=1) + "\n")
    print(f"{len(hashes)} pieces in {chosen.out}, {sum((chosen.out / n).stat().st_size for n in hashes) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
