"""OpenVINO from the same ONNX file: f32, bf16 by its precision hint, int8 by nncf with calibration.

Concurrent callers have it their own way too: mode `async` compiles for THROUGHPUT and gives each an infer request.
Run as a program, it makes the models: `python -m peers.openvino WORK`.
"""

import json
import sys
import threading
from pathlib import Path

import openvino

from peers.padded import Padded, np

FILES = {"f32": "f32.xml", "bf16": "f32.xml", "int8": "int8.xml"}


class Engine(Padded):
    caller_modes = ("direct", "queue", "async")

    def __init__(self, work, precision, threads, hint="LATENCY"):
        self.open_tokenizer(work)
        self.opened_with = work, precision, threads
        options = {
            "PERFORMANCE_HINT": hint,
            "INFERENCE_NUM_THREADS": threads,
            # Of a quantised model, how what is not quantised is computed.
            "INFERENCE_PRECISION_HINT": "f32" if precision == "f32" else "bf16",
        }
        if precision == "int8" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            options["INFERENCE_PRECISION_HINT"] = "f32"
        path = str(work / "openvino" / FILES[precision])
        self.compiled = openvino.Core().compile_model(path, "CPU", options)
        # A request is one thread's: each has its own.
        self.local = threading.local()
        self.version = f"openvino {openvino.__version__.split('-')[0]}"

    def forward(self, ids, mask):
        if not hasattr(self.local, "request"):
            self.local.request = self.compiled.create_infer_request()
        values = {"input_ids": ids, "token_type_ids": ids * 0, "attention_mask": mask}
        return self.local.request.infer(values)[0].copy()

    def callers(self, mode):
        return Engine(*self.opened_with, hint="THROUGHPUT") if mode == "async" else self


def prepare(work):
    source, plain, quantised = work / "onnx/model.onnx", *(work / "openvino" / FILES[p] for p in ("f32", "int8"))
    if quantised.is_file() and quantised.stat().st_mtime > source.stat().st_mtime:
        return
    plain.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(openvino.convert_model(str(source)), str(plain), compress_to_fp16=False)

    try:
        import nncf
    except ImportError as error:
        print(f"without int8: {error}")
        return
    helper = Padded()
    helper.open_tokenizer(work)
    texts = json.loads((work / "texts.json").read_text())["calibration"]
    rows = [np.array([ids]) for ids in helper.encode(texts)]
    inputs = [{"input_ids": r, "token_type_ids": r * 0, "attention_mask": r * 0 + 1} for r in rows]
    model = nncf.quantize(
        openvino.Core().read_model(str(plain)),
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(inputs),
    )
    openvino.save_model(model, str(quantised), compress_to_fp16=False)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
