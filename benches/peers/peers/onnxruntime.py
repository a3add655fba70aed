"""ONNX Runtime as its documentation has it: torch.onnx.export, onnxruntime.transformers.optimizer, quantize_dynamic.

Both versions run the same files, which the newer one makes: the older optimiser does not know the attention that
current versions of transformers export. Run as a program, it makes them: `python -m peers.onnxruntime WORK`.
"""

import sys
from pathlib import Path

import onnxruntime

from peers.padded import Padded

FILES = {"f32": "fused.onnx", "int8": "int8.onnx"}


class Engine(Padded):
    def __init__(self, work, precision, threads):
        self.open_tokenizer(work)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Threads that wait in a loop for the next operator: ONNX Runtime's default, the fastest for one caller.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        path = str(work / "onnx" / FILES[precision])
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [i.name for i in self.session.get_inputs()]
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def forward(self, ids, mask):
        values = {"input_ids": ids, "token_type_ids": ids * 0, "attention_mask": mask}
        return self.session.run(None, {name: values[name] for name in self.names})[0]


def prepare(work):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    source, fused, quantised = (work / "onnx" / name for name in ("model.onnx", FILES["f32"], FILES["int8"]))
    if quantised.is_file() and quantised.stat().st_mtime > source.stat().st_mtime:
        return
    model = optimizer.optimize_model(str(source), model_type="bert", num_heads=12, hidden_size=768, opt_level=0)
    found = model.get_fused_operator_statistics()
    if found["Attention"] != 12:
        print(f"the optimiser fused {found['Attention']} of 12 attentions: ONNX Runtime would run below its best")
    model.save_model_to_file(str(fused))
    extra = {"MatMulConstBOnly": True, "DefaultTensorType": 1}
    part = quantised.with_suffix(".part")
    quantize_dynamic(str(fused), str(part), per_channel=True, weight_type=QuantType.QInt8, extra_options=extra)
    part.rename(quantised)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
