#!/usr/bin/env python3
"""Makes the small graphs of tests/fixtures. Needs the package onnx.

identity        one node, one float tensor: the cost of a call
every_type      one Identity for each element type
unknown_inputs  inputs whose names say nothing
sums            a classifier that can be computed by hand: the logits are sums over the tokens that the mask keeps
sums_fixed      the same for exactly two rows of sixteen tokens, with int32 inputs
sums_no_mask    the same without a mask: padding would count
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

VOCAB = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"] + list("好坏房间很书的不") + ["good", "##s", "bad"]
TYPES = {
    "float": T.FLOAT, "uint8": T.UINT8, "int8": T.INT8, "uint16": T.UINT16, "int16": T.INT16, "int32": T.INT32,
    "int64": T.INT64, "string": T.STRING, "bool": T.BOOL, "float16": T.FLOAT16, "double": T.DOUBLE,
    "uint32": T.UINT32, "uint64": T.UINT64, "bfloat16": T.BFLOAT16,
}


def save(root, name, nodes, inputs, outputs, initializers=()):
    graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    return folder


def identity(root):
    value = lambda name: h.make_tensor_value_info(name, T.FLOAT, ["n"])
    save(root, "identity", [h.make_node("Identity", ["x"], ["y"])], [value("x")], [value("y")])


def every_type(root):
    nodes = [h.make_node("Identity", [f"{n}_in"], [f"{n}_out"]) for n in TYPES]
    value = lambda name, t: h.make_tensor_value_info(name, t, ["n", 2])
    save(root, "every_type", nodes, [value(f"{n}_in", t) for n, t in TYPES.items()],
         [value(f"{n}_out", t) for n, t in TYPES.items()])


def unknown_inputs(root):
    value = lambda name: h.make_tensor_value_info(name, T.INT64, ["n", "s"])
    save(root, "unknown_inputs", [h.make_node("Add", ["left", "right"], ["sum"])], [value("left"), value("right")],
         [value("sum")])


def sums(root, name, dims=("n", "s"), id_type=T.INT64, mask=True):
    weights = np.arange(len(VOCAB) * 3, dtype=np.float32).reshape(-1, 3) / 16
    ids = lambda x: h.make_tensor_value_info(x, id_type, list(dims))
    nodes = [h.make_node("Gather", ["weights", "input_ids"], ["last_hidden_state"])]
    summed = "last_hidden_state"
    if mask:
        nodes += [
            h.make_node("Cast", ["attention_mask"], ["mask"], to=T.FLOAT),
            h.make_node("Unsqueeze", ["mask", "last_axis"], ["mask3"]),
            h.make_node("Mul", ["last_hidden_state", "mask3"], ["kept"]),
        ]
        summed = "kept"
    nodes.append(h.make_node("ReduceSum", [summed, "token_axis"], ["logits"], keepdims=0))
    initializers = [
        numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([2]), "last_axis"),
        numpy_helper.from_array(np.array([1]), "token_axis"),
    ]
    folder = save(
        root, name, nodes, [ids("input_ids")] + ([ids("attention_mask")] if mask else []),
        [h.make_tensor_value_info("logits", T.FLOAT, [dims[0], 3]),
         h.make_tensor_value_info("last_hidden_state", T.FLOAT, [*dims, 3])],
        initializers if mask else [initializers[0], initializers[2]],
    )
    config = {
        "model_type": "ernie", "architectures": ["ErnieForSequenceClassification"], "hidden_size": 3,
        "vocab_size": len(VOCAB), "max_position_embeddings": 32, "id2label": {"0": "a", "1": "b", "2": "c"},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}\n')
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")


if __name__ == "__main__":
    root = Path(sys.argv[1])
    identity(root)
    every_type(root)
    unknown_inputs(root)
    sums(root, "sums")
    sums(root, "sums_fixed", dims=(2, 16), id_type=T.INT32)
    sums(root, "sums_no_mask", mask=False)
