#!/usr/bin/env python3
"""Checkpoint folder and ONNX graph of the demo model.

`python export.py FOLDER` rebuilds FOLDER/model.onnx from config.json and
model.safetensors of that folder and compares ONNX Runtime with transformers.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

F16, F32, I64 = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.INT64
LABELS = ["negative", "positive"]


# ---------------------------------------------------------------- checkpoint


def write_checkpoint(folder, state, vocab):
    """Writes config.json, model.safetensors (float16), vocab.txt and tokenizer_config.json."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    half = {name: value.to(torch.float16).contiguous() for name, value in sorted(state.items())}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "vocab.txt").write_text("".join(t + "\n" for t in vocab), encoding="utf-8")
    write_config(folder, state, len(vocab))
    write_tokenizer_config(folder)


def write_config(folder, state, vocab_size):
    """Writes config.json the way transformers does."""
    from transformers import ErnieConfig

    prefix = "ernie.encoder.layer."
    inner, hidden = state[prefix + "0.intermediate.dense.weight"].shape
    config = ErnieConfig(
        vocab_size=vocab_size, hidden_size=hidden, intermediate_size=inner,
        num_hidden_layers=len({n.split(".")[3] for n in state if n.startswith(prefix)}),
        num_attention_heads=hidden // 32, hidden_act="gelu",
        max_position_embeddings=state["ernie.embeddings.position_embeddings.weight"].shape[0],
        type_vocab_size=state["ernie.embeddings.token_type_embeddings.weight"].shape[0],
        layer_norm_eps=1e-12, pad_token_id=0, use_task_id=False,
        id2label=dict(enumerate(LABELS)), label2id={n: i for i, n in enumerate(LABELS)},
        problem_type="single_label_classification",
        architectures=["ErnieForSequenceClassification"], dtype="float16",
    )
    config.save_pretrained(folder)


def write_tokenizer_config(folder):
    """Writes tokenizer_config.json; the special token map is part of it."""
    from transformers import BertTokenizer

    tokenizer = BertTokenizer(folder / "vocab.txt", do_lower_case=True, model_max_length=512)
    tokenizer.save_pretrained(folder)
    (folder / "special_tokens_map.json").unlink(missing_ok=True)


# ---------------------------------------------------------------- graph


def safetensors_header(path):
    """Tensor table of a safetensors file and the offset of its data section."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        table = json.loads(f.read(length))
    table.pop("__metadata__", None)
    return table, 8 + length


def external_initializer(name, entry, base, location):
    """Initializer whose bytes are those of one tensor of the safetensors file."""
    if entry["dtype"] != "F16":
        raise ValueError(f"{name}: float16 expected, found {entry['dtype']}")
    begin, end = entry["data_offsets"]
    tensor = TensorProto(name=name, data_type=F16, dims=entry["shape"])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", base + begin), ("length", end - begin)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


class Graph:
    """Small builder of nodes; every method returns the name of its result."""

    def __init__(self, table, base, location, config):
        self.nodes, self.constants = [], []
        self.config = config
        self.weights = {n: external_initializer(n, e, base, location) for n, e in table.items()}

    def op(self, kind, *inputs, out=None, **attributes):
        out = out or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def constant(self, value, dtype=np.float32):
        name = f"constant_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, name):
        """Parameter as float32."""
        return self.op("Cast", name, to=F32)

    def linear(self, x, name, out=None):
        kernel = self.op("Transpose", self.weight(name + ".weight"), perm=[1, 0])
        return self.op("Add", self.op("MatMul", x, kernel), self.weight(name + ".bias"), out=out)

    def norm(self, x, name, out=None):
        scale, bias = self.weight(name + ".weight"), self.weight(name + ".bias")
        eps = self.config["layer_norm_eps"]
        return self.op("LayerNormalization", x, scale, bias, out=out, axis=-1, epsilon=eps)

    def gelu(self, x):
        tail = self.op("Erf", self.op("Div", x, self.constant(np.sqrt(2.0))))
        half = self.op("Mul", x, self.op("Add", tail, self.constant(1.0)))
        return self.op("Mul", half, self.constant(0.5))

    def embeddings(self):
        """Sum of word, position and token type embeddings, normalised."""
        prefix = "ernie.embeddings."
        word = self.op("Gather", prefix + "word_embeddings.weight", "input_ids")
        kind = self.op("Gather", prefix + "token_type_embeddings.weight", "token_type_ids")
        length = self.op("Slice", self.op("Shape", "input_ids"), self.constant([1], np.int64), self.constant([2], np.int64))
        place = self.op("Slice", prefix + "position_embeddings.weight", self.constant([0], np.int64), length)
        word, kind, place = (self.op("Cast", x, to=F32) for x in (word, kind, place))
        total = self.op("Add", self.op("Add", word, kind), place)
        return self.norm(total, prefix + "LayerNorm")

    def mask_bias(self):
        """Zero for tokens, the lowest float for padding; shape [batch, 1, 1, sequence]."""
        mask = self.op("Unsqueeze", self.op("Cast", "attention_mask", to=F32), self.constant([1, 2], np.int64))
        lowest = self.constant(np.finfo(np.float32).min)
        return self.op("Mul", self.op("Sub", self.constant(1.0), mask), lowest)

    def heads(self, x, perm):
        count = self.config["num_attention_heads"]
        shape = [0, 0, count, self.config["hidden_size"] // count]
        return self.op("Transpose", self.op("Reshape", x, self.constant(shape, np.int64)), perm=perm)

    def attention(self, x, bias, prefix):
        width = self.config["hidden_size"] // self.config["num_attention_heads"]
        q = self.heads(self.linear(x, prefix + "self.query"), [0, 2, 1, 3])
        k = self.heads(self.linear(x, prefix + "self.key"), [0, 2, 3, 1])
        v = self.heads(self.linear(x, prefix + "self.value"), [0, 2, 1, 3])
        scores = self.op("Div", self.op("MatMul", q, k), self.constant(np.sqrt(width)))
        share = self.op("Softmax", self.op("Add", scores, bias), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", share, v), perm=[0, 2, 1, 3])
        flat = self.op("Reshape", mixed, self.constant([0, 0, self.config["hidden_size"]], np.int64))
        dense = self.linear(flat, prefix + "output.dense")
        return self.norm(self.op("Add", dense, x), prefix + "output.LayerNorm")

    def layer(self, x, bias, index, out):
        prefix = f"ernie.encoder.layer.{index}."
        x = self.attention(x, bias, prefix + "attention.")
        inner = self.gelu(self.linear(x, prefix + "intermediate.dense"))
        dense = self.linear(inner, prefix + "output.dense")
        return self.norm(self.op("Add", dense, x), prefix + "output.LayerNorm", out=out)

    def model(self):
        """Adds every node from the inputs to the three outputs."""
        x, bias = self.embeddings(), self.mask_bias()
        count = self.config["num_hidden_layers"]
        for i in range(count):
            x = self.layer(x, bias, i, "last_hidden_state" if i == count - 1 else None)
        first = self.op("Gather", x, self.constant(0, np.int64), axis=1)
        pooled = self.op("Tanh", self.linear(first, "ernie.pooler.dense"), out="pooler_output")
        self.linear(pooled, "classifier", out="logits")


def build_graph(folder):
    """Writes model.onnx; its initializers point into model.safetensors."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    table, base = safetensors_header(folder / "model.safetensors")
    graph = Graph(table, base, "model.safetensors", config)
    graph.model()
    names = ("input_ids", "attention_mask", "token_type_ids")
    hidden = config["hidden_size"]
    outputs = {
        "logits": ["batch", len(config["id2label"])],
        "last_hidden_state": ["batch", "sequence", hidden],
        "pooler_output": ["batch", hidden],
    }
    proto = helper.make_graph(
        graph.nodes, "ernie_for_sequence_classification",
        [helper.make_tensor_value_info(n, I64, ["batch", "sequence"]) for n in names],
        [helper.make_tensor_value_info(n, F32, shape) for n, shape in outputs.items()],
        initializer=[*graph.weights.values(), *graph.constants],
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], producer_name="libernie-demo")
    model.ir_version = 8
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(folder / "model.onnx"))


# ---------------------------------------------------------------- checks


def open_session(folder):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])


def feed(batch):
    """Pads lists of token ids to the inputs of the graph."""
    ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, :len(tokens)], mask[row, :len(tokens)] = tokens, 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def encode(folder, texts):
    from transformers import BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(folder)
    return [tokenizer(t, truncation=True, max_length=512)["input_ids"] for t in texts]


def accuracy(folder, rows):
    """Number of (label, text) rows that the graph classifies as labelled."""
    session = open_session(folder)
    right = 0
    for (label, _), ids in zip(rows, encode(folder, [t for _, t in rows])):
        logits = session.run(["logits"], feed([ids]))[0]
        right += int(logits[0].argmax() == label)
    return right


def verify(folder, texts):
    """Largest difference between ONNX Runtime and transformers, alone and in padded batches."""
    import torch
    from transformers import ErnieForSequenceClassification

    reference = ErnieForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    session, tokens = open_session(folder), encode(folder, texts)
    batches = [[t] for t in tokens] + [tokens[i:i + 8] for i in range(0, len(tokens), 8)]
    worst = dict.fromkeys(("logits", "last_hidden_state", "pooler_output"), 0.0)
    for batch in batches:
        inputs = feed(batch)
        found = dict(zip(worst, session.run(list(worst), inputs)))
        with torch.no_grad():
            arrays = {k: torch.from_numpy(v) for k, v in inputs.items()}
            body = reference.ernie(**arrays)
            expected = {
                "logits": reference.classifier(body.pooler_output),
                "last_hidden_state": body.last_hidden_state, "pooler_output": body.pooler_output,
            }
        real = inputs["attention_mask"][..., None] == 1
        for name, value in expected.items():
            diff = np.abs(found[name] - value.numpy())
            worst[name] = max(worst[name], float((diff * real if diff.ndim == 3 else diff).max()))
    return worst


def export(folder, state, vocab):
    write_checkpoint(folder, state, vocab)
    build_graph(folder)


SENTENCES = [
    "房间很干净，服务员也很热情，下次还会再来。",
    "电池只能用一个小时，散热也很差，非常失望。",
    "这本书内容空洞，翻了几页就看不下去了。",
    "iPhone X 的屏幕 OK，but 价格 2,999 元太贵了！",
    "好",
    "酒店位置不错，就是隔音太差，晚上睡不着。" * 20,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).resolve().parent)
    folder = parser.parse_args().folder
    build_graph(folder)
    for name, value in verify(folder, SENTENCES).items():
        print(f"{name}: largest difference {value:.2e}")


if __name__ == "__main__":
    main()
