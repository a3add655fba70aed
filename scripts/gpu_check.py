#!/usr/bin/env python3
"""Checks and measures libernie on a GPU: `make gpu-check`. Needs Python alone; PyTorch, where there is one, is measured beside it.

With build/gpu-pack (or --pack, any number of folders that hold pieces of it) it runs what was packed, and says which pieces are missing;
without, it runs build/stage and build/runtime-gpu. In this order, and each part even where the one before failed:

1. which providers can be used, and what the others lack;
2. every packed model on the device, in f32 and f16, beside the processor's f32: all vectors, all scores, texts together and alone;
3. errors: a device that is not there, an engine cache that holds garbage, too little memory, and that the model answers afterwards;
4. speed on a random model of base size: a text of 128 tokens, reviews, questions; beside PyTorch in f16, compiled, and its largest product.

Writes DATE-DEVICE.json and .md into --results. Exit status: 0 all was right, 1 something was wrong, 2 the command line or the
pack is wrong, 3 the device cannot be used: parts 2 to 4 did not run, which is said.
"""

import argparse
import ctypes
import datetime
import hashlib
import json
import os
import random
import re
import shutil
import statistics
import struct
import sys
import tarfile
import tempfile
import time
import zlib
from array import array
from ctypes import POINTER, byref, c_void_p
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benches/peers"))
sys.path.insert(0, str(ROOT / "scripts"))

import gpu_pack  # noqa: E402
from peers.libernie import Input, Matrix, library  # noqa: E402
from workloads import HEADS, HIDDEN, INNER, LABELS, LAYERS, Texts, operations  # noqa: E402

MIXED = ["好", "早餐太差了，无论去多少人", "物流很快，书的质量很好，下次还来。" * 6, "hello world 123", "价格便宜", "房间" * 40]
ALLOWED = {"f32": 2e-4, "f16": 2e-2}


class Refused(Exception):
    """A status: its code and message."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Library:
    def __init__(self, path):
        self.lib = library(path)
        self.lib.ernie_status_code.restype = ctypes.c_int32
        for name, arguments in {
            "provider_check": [c_void_p],
            "encode": [c_void_p, POINTER(Input), ctypes.c_size_t, c_void_p, POINTER(c_void_p)],
        }.items():
            function = getattr(self.lib, f"ernie_{name}")
            function.argtypes, function.restype = arguments, c_void_p
        self.lib.ernie_model_free.argtypes = [c_void_p]

    def check(self, status):
        if status:
            code, message = self.lib.ernie_status_code(status), self.lib.ernie_status_message(status).decode()
            self.lib.ernie_status_free(status)
            raise Refused(code, message)

    def options(self, **keys):
        options = self.lib.ernie_options_new()
        try:
            for key, value in keys.items():
                self.check(self.lib.ernie_options_set(options, key.encode(), str(value).encode()))
        except Refused:
            self.lib.ernie_options_free(options)
            raise
        return options

    def provider(self, **keys):
        """None, or why the provider cannot be used."""
        options = self.options(**keys)
        try:
            self.check(self.lib.ernie_provider_check(options))
        except Refused as refused:
            return str(refused)
        finally:
            self.lib.ernie_options_free(options)

    def open(self, path, **keys):
        options, model = self.options(**keys), c_void_p()
        try:
            self.check(self.lib.ernie_model_open(str(path).encode(), options, byref(model)))
        finally:
            self.lib.ernie_options_free(options)
        return Model(self, model)


class Model:
    def __init__(self, owner, handle):
        self.owner, self.lib, self.handle = owner, owner.lib, handle

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.ernie_model_free(self.handle)

    def run(self, name, texts):
        inputs, result = (Input * len(texts))(), c_void_p()
        for i, text in enumerate(texts):
            data = text.encode()
            inputs[i].text.data, inputs[i].text.len = data, len(data)
        self.owner.check(getattr(self.lib, f"ernie_{name}")(self.handle, inputs, len(texts), None, byref(result)))
        return result

    def rows(self, name, texts):
        result, matrix = self.run(name, texts), Matrix()
        try:
            self.owner.check(self.lib.ernie_result_matrix(result, byref(matrix)))
            n = matrix.n_columns
            return [matrix.data[i * n : (i + 1) * n] for i in range(matrix.n_rows)]
        finally:
            self.lib.ernie_result_free(result)

    def answers(self, texts):
        """Vectors, and scores where the task has them for texts."""
        found = {"vectors": self.rows("encode", texts)}
        try:
            found["scores"] = self.rows("infer", texts)
        except Refused:
            pass
        return found


def difference(given, wanted):
    """The largest, as a share where numbers are large; what is no number is as wrong as can be."""
    pairs = [(a, b) for x, y in zip(given, wanted) for a, b in zip(x, y)]
    return max((abs(a - b) / (1 + abs(b)) if a == a else float("inf")) for a, b in pairs)


class BrokenPack(Exception):
    """What is wrong with the pieces."""


class Joined:
    """Files as one."""

    def __init__(self, paths):
        self.files = [path.open("rb") for path in paths]

    def read(self, n=-1):
        data = b""
        while self.files and (n < 0 or len(data) < n):
            part = self.files[0].read(n - len(data) if n >= 0 else -1)
            if not part:
                self.files.pop(0).close()
            data += part
        return data


def unpack(folders, work):
    """Puts the pieces together in an emptied folder; False where there is no pack."""
    manifests = [folder / "pack.json" for folder in folders if (folder / "pack.json").is_file()]
    if not manifests:
        return False
    try:
        pieces = dict(json.loads(manifests[0].read_text())["pieces"])
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenPack(f"{manifests[0]} is no list of pieces: {error!r}") from error
    missing, found = [], []
    for name, wanted in pieces.items():
        if not re.fullmatch(r"pack\.\d{3,}", name):
            raise BrokenPack(f"{manifests[0]} names {name!r}, which is no piece")
        places = [folder / name for folder in folders if (folder / name).is_file()]
        right = [p for p in places if hashlib.sha256(p.read_bytes()).hexdigest() == wanted]
        found += right[:1]
        missing += [] if right else [name]
    if missing:
        raise BrokenPack(f"pieces that are missing or broken: {', '.join(missing)}")
    for old in ("lib", "runtime", "models"):
        shutil.rmtree(work / old, ignore_errors=True)
    try:
        with tarfile.open(fileobj=Joined(found), mode="r|gz") as archive:
            archive.extractall(work, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise BrokenPack(f"the pieces are no archive: {error}") from error
    absent = [part for part in ("lib/libernie.so", "runtime", "models/demo", "texts.json") if not (work / part).exists()]
    if absent:
        raise BrokenPack(f"the archive lacks {', '.join(absent)}")
    return True


def device_libraries():
    """Folders in which CUDA's libraries usually are."""
    places = [Path(p) / "nvidia" for p in sys.path] + list(Path("/usr/local").glob("cuda*/lib64"))
    places += [Path(p) / "tensorrt_libs" for p in sys.path]
    return list(dict.fromkeys(str(p) for p in places if p.is_dir()))


def random_model(path, vocabulary):
    """A random checkpoint of base size, as Hugging Face stores it."""
    path.mkdir(parents=True, exist_ok=True)
    sizes = {"vocab_size": len(vocabulary), "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "hidden_act": "gelu"}
    sizes |= {"num_attention_heads": HEADS, "intermediate_size": INNER, "max_position_embeddings": 2048}
    sizes |= {"type_vocab_size": 4, "task_type_vocab_size": 3, "use_task_id": True, "layer_norm_eps": 1e-5}
    sizes |= {"model_type": "ernie", "architectures": ["ErnieForSequenceClassification"], "num_labels": LABELS}
    sizes |= {"id2label": {"0": "negative", "1": "positive"}, "pad_token_id": 0}
    (path / "config.json").write_text(json.dumps(sizes))
    (path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    shapes = {"ernie.embeddings.word_embeddings.weight": (len(vocabulary), HIDDEN)}
    for name, rows in (("position", 2048), ("token_type", 4), ("task_type", 3)):
        shapes[f"ernie.embeddings.{name}_embeddings.weight"] = (rows, HIDDEN)
    norms = ["ernie.embeddings.LayerNorm"]
    for i in range(LAYERS):
        layer = f"ernie.encoder.layer.{i}"
        linears = {f"attention.self.{p}": (HIDDEN, HIDDEN) for p in ("query", "key", "value")}
        linears |= {"attention.output.dense": (HIDDEN, HIDDEN), "intermediate.dense": (INNER, HIDDEN)}
        linears |= {"output.dense": (HIDDEN, INNER)}
        for name, shape in linears.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, rows in (("ernie.pooler.dense", HIDDEN), ("classifier", LABELS)):
        shapes |= {f"{name}.weight": (rows, HIDDEN), f"{name}.bias": (rows,)}
    for norm in norms:
        shapes |= {f"{norm}.weight": (HIDDEN,), f"{norm}.bias": (HIDDEN,)}
    header, offset = {}, 0
    for name, shape in shapes.items():
        n_bytes = 4 * (shape[0] * shape[1] if len(shape) > 1 else shape[0])
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + n_bytes]}
        offset += n_bytes
    draw = random.Random(20261129)
    noise = array("f", (draw.gauss(0, 0.02) for _ in range(1_000_003)))
    ones = array("f", [1.0]) * HIDDEN
    text = json.dumps(header).encode()
    with (path / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for number, (name, entry) in enumerate(header.items()):
            n = (entry["data_offsets"][1] - entry["data_offsets"][0]) // 4
            if name.endswith("LayerNorm.weight"):
                ones.tofile(file)
                continue
            start = number * 7919 % len(noise)
            while n:
                part = noise[start : start + n]
                part.tofile(file)
                n, start = n - len(part), 0


def parity(lib, models, keys, report):
    """Every model in f32 and f16, beside the processor's f32."""
    is_right = True
    for path in models:
        try:
            with lib.open(path, provider="cpu") as model:
                wanted = model.answers(MIXED)
        except Refused as refused:
            report["parity"].append({"model": path.name, "left_out": str(refused)})
            continue
        for precision, allowed in ALLOWED.items():
            entry = {"model": path.name, "precision": precision, "allowed": allowed}
            try:
                with lib.open(path, precision=precision, **keys) as model:
                    given = model.answers(MIXED)
                    alone = {what: [model.answers([text])[what][0] for text in MIXED] for what in given}
                entry |= {what: difference(rows, wanted[what]) for what, rows in given.items()}
                entry["alone"] = max(difference(alone[what], rows) for what, rows in given.items())
                entry["is_right"] = max(entry[k] for k in (*given, "alone")) <= allowed and given.keys() == wanted.keys()
            except Refused as refused:
                # A generator says that it does not leave the processor.
                stays = "runs on the processor only" in str(refused)
                entry |= {"left_out" if stays else "error": str(refused), "is_right": stays}
            is_right &= entry["is_right"]
            report["parity"].append(entry)
            print(json.dumps(entry), flush=True)
    return is_right


def engines(lib, path, keys):
    """The second opening takes the engine of the first; garbage in its place is not taken for one."""
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        kept = lambda: {f: f.stat().st_mtime_ns for f in Path(cache).rglob("*") if f.is_file() and f.name != "made-for.txt"}
        before = {}
        for attempt in ("first", "second", "garbage"):
            if attempt == "garbage":
                for file in kept():
                    file.write_bytes(b"garbage")
            try:
                with lib.open(path, **(keys | {"engine_cache": cache})) as model:
                    rows = model.rows("encode", MIXED[:2])
                is_right = len(rows) == 2 and bool(kept()) and (attempt != "second" or kept() == before)
                found[f"engine cache, {attempt}"] = {"is_right": is_right}
            except Refused as error:
                found[f"engine cache, {attempt}"] = {"is_right": False, "said": str(error)}
            before = kept()
    return found


def errors(lib, path, keys, report):
    """What must fail must say why, and leave the library working."""
    found = {}

    def refused(name, must_hold, **more):
        try:
            with lib.open(path, **(keys | more)):
                found[name] = {"is_right": False, "said": "opened"}
        except Refused as error:
            found[name] = {"is_right": any(part in str(error) for part in must_hold), "said": str(error)}

    if keys["provider"] != "openvino":
        refused("device 99", ("99",), device_id=99)
    if keys["provider"] == "tensorrt":
        refused("no cache", ("/nonexistent",), engine_cache="/nonexistent/engines")
        found |= engines(lib, path, keys)
    if keys["provider"] == "cuda":
        try:
            with lib.open(path, **(keys | {"device_memory_mb": 64})) as model:
                try:
                    model.rows("encode", [MIXED[2] * 4] * 2000)
                    said = None
                except Refused as error:
                    said = str(error)
                found["little memory"] = {"is_right": len(model.rows("encode", ["好"])) == 1, "said": said}
        except Refused as error:
            found["little memory"] = {"is_right": "memory" in str(error), "said": str(error)}
    with lib.open(path, **keys) as model:
        found["afterwards"] = {"is_right": len(model.rows("encode", ["好"])) == 1}
    report["errors"] = found
    for name, entry in found.items():
        print(name, json.dumps(entry), flush=True)
    return all(entry["is_right"] for entry in found.values())


def seconds(work, least):
    """The median of runs, after two that do not count, for this long at least."""
    times = []
    for _ in range(2):
        work()
    begin = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < least:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def speed(lib, work, texts, keys, quick, report):
    """Times of a random model of base size, and what PyTorch takes for the same ids."""
    path = work / "base"
    if not (path / "model.safetensors").is_file():
        random_model(path, texts["vocabulary"])
    found, least = {}, 0.2 if quick else 3.0
    load = {name: texts["workloads"][name] for name in ("single128", "chnsenticorp", "lcqmc_together")}
    if quick:
        load = {name: some[:16] for name, some in load.items()}
    with lib.open(path, provider="cpu", precision="int8") as model:
        lengths = {name: token_lengths(model, some) for name, some in load.items()}
    # As many rows and tokens in a run as keep a GPU busy.
    more = {"max_rows": 512, "max_batch_tokens": 32768} if keys["provider"] != "openvino" else {}
    for precision in ("f32",) if keys["provider"] == "openvino" else ("f16", "f32"):
        with lib.open(path, precision=precision, **(keys | more)) as model:
            one = load["single128"][0]
            entry = {"single128_ms": 1e3 * seconds(lambda: model.rows("infer", [one]), least)}
            for name in ("chnsenticorp", "lcqmc_together"):
                took = seconds(lambda: model.rows("infer", load[name]), least)
                entry[f"{name}_tokens_per_ms"] = sum(lengths[name]) / took / 1e3
                entry[f"{name}_tops"] = sum(map(operations, lengths[name])) / took / 1e12
        found[f"libernie {precision}"] = entry
        print(precision, json.dumps(entry), flush=True)
    try:
        import gpu_torch

        found |= gpu_torch.measure(path, lengths, seconds, least)
    except ImportError as error:
        found["PyTorch"] = {"left_out": str(error)}
    report["speed"] = found


def token_lengths(model, texts):
    from peers.libernie import Tokens

    result, lengths = model.run("infer", texts), []
    for i in range(len(texts)):
        tokens = Tokens(ctypes.sizeof(Tokens))
        model.owner.check(model.lib.ernie_result_tokens(result, i, byref(tokens)))
        lengths.append(tokens.n_tokens)
    model.lib.ernie_result_free(result)
    return lengths


def table(report):
    lines = [f"# libernie on {report['provider']}, {report['date'][:10]}", "", f"{report['runtime']}. {report['machine']}."]
    lines += ["", "| provider | |", "| --- | --- |"]
    lines += [f"| {name} | {why or 'can be used'} |" for name, why in report["providers"].items()]
    if report["parity"]:
        lines += ["", "| model | precision | vectors | scores | alone | right |", "| --- | --- | --- | --- | --- | --- |"]
        for e in report["parity"]:
            cells = [e["model"], e.get("precision", ""), *(f"{e[k]:.1e}" if k in e else "" for k in ("vectors", "scores", "alone"))]
            said = e.get("left_out") or e.get("error") or ("yes" if e["is_right"] else "no")
            lines.append(f"| {' | '.join(cells)} | {said} |")
    if report.get("errors"):
        lines += ["", "| what must fail, and goes on | right | said |", "| --- | --- | --- |"]
        lines += [f"| {n} | {'yes' if e['is_right'] else 'no'} | {e.get('said') or ''} |" for n, e in report["errors"].items()]
    if report.get("speed"):
        lines += ["", "| engine | measured |", "| --- | --- |"]
        for name, e in report["speed"].items():
            lines.append(f"| {name} | {', '.join(f'{k} {v:.3g}' if isinstance(v, float) else f'{k} {v}' for k, v in e.items())} |")
    if report["not_run"]:
        lines += ["", "Not run: " + "; ".join(report["not_run"]) + "."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--provider", default="cuda", help="cuda (default), tensorrt or openvino")
    parser.add_argument("--pack", type=Path, action="append", default=[], help="a folder with pieces of gpu-pack")
    parser.add_argument("--runtime", type=Path, help="default: that of the pack, or build/runtime-gpu")
    parser.add_argument("--library", type=Path, help="default: that of the pack, or build/stage")
    parser.add_argument("--golden", type=Path, default=ROOT / "../shared/data/golden")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--work", type=Path, default=ROOT / "build/gpu-check", help="for what is unpacked and made")
    parser.add_argument("--results", type=Path, default=ROOT / "benches/results")
    parser.add_argument("--quick", action="store_true", help="few texts and repetitions: to try it out")
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    try:
        is_packed = unpack(chosen.pack or [ROOT / "build/gpu-pack"], chosen.work)
    except BrokenPack as broken:
        parser.error(str(broken))
    if chosen.pack and not is_packed:
        parser.error(f"no pack.json in {', '.join(map(str, chosen.pack))}")
    if is_packed:
        chosen.library = chosen.library or chosen.work / "lib/libernie.so"
        chosen.runtime = chosen.runtime or chosen.work / "runtime"
        models = sorted((chosen.work / "models").iterdir())
        texts = json.loads((chosen.work / "texts.json").read_text())
    else:
        models = list(gpu_pack.models(chosen.golden).values())
        made = Texts(chosen.data, None, False)
        texts = {"vocabulary": made.vocabulary, **made.as_json()}
    chosen.library = chosen.library or ROOT / "build/stage/lib/libernie.so"
    os.environ["ERNIE_ORT_PATH"] = str(chosen.runtime or ROOT / "build/runtime-gpu")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    lib = Library(chosen.library)
    keys = {"provider": chosen.provider}
    if chosen.provider != "openvino" and device_libraries():
        keys["provider_libraries"] = ":".join(device_libraries())
    uname = os.uname()
    report = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "provider": chosen.provider,
        "machine": f"{uname.sysname} {uname.release} {uname.machine}, {os.cpu_count()} cores",
        "providers": {name: lib.provider(**(keys | {"provider": name})) for name in ("cpu", "cuda", "tensorrt", "openvino")},
        "provider_libraries": keys.get("provider_libraries"),
        "parity": [],
        "not_run": [],
    }
    report["runtime"] = lib.lib.ernie_runtime_info().decode()
    for name, why in report["providers"].items():
        print(f"{name}: {why or 'can be used'}", flush=True)
    status = 0
    if report["providers"][chosen.provider]:
        status = 3
        report["not_run"] = ["models on the device", "errors of the device", "speed"]
    else:
        status |= not parity(lib, models, keys, report)
        status |= not errors(lib, next(m for m in models if m.name == "demo"), keys, report)
        speed(lib, chosen.work, texts, keys, chosen.quick, report)
    chosen.results.mkdir(parents=True, exist_ok=True)
    name = f"{report['date'][:10]}-{chosen.provider}"
    (chosen.results / f"{name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    (chosen.results / f"{name}.md").write_text(table(report))
    print(f"written: {chosen.results / name}.json and .md; status {int(status)}")
    if status == 3:
        print(f"{chosen.provider} cannot be used here; not run: {'; '.join(report['not_run'])}")
    sys.exit(int(status))


if __name__ == "__main__":
    main()
