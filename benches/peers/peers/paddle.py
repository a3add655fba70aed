"""Paddle Inference 2.6.2: the network in paddle.nn with the same weights, jit.save, oneDNN, f32.

Run as a program, it saves the network: `python -m peers.paddle WORK`.
"""

import json
import sys
from pathlib import Path

import paddle
from paddle import inference, nn

from peers.padded import Padded, np


class Engine(Padded):
    """A predictor is one caller's at a time. Clones for 16 callers took 12 GB, so they share one by a queue."""

    caller_modes = ("queue",)

    def __init__(self, work, precision, threads):
        self.open_tokenizer(work)
        config = inference.Config(str(work / "paddle/model.pdmodel"), str(work / "paddle/model.pdiparams"))
        config.disable_gpu()
        config.enable_mkldnn()
        # The default keeps weights in oneDNN's form for each of ten lengths: 4 GB, and half as fast when lengths vary.
        config.set_mkldnn_cache_capacity(0)
        config.set_cpu_math_library_num_threads(threads)
        config.switch_ir_optim(True)
        config.enable_memory_optim()
        config.disable_glog_info()
        self.predictor = inference.create_predictor(config)
        self.version = f"paddlepaddle {paddle.__version__}"

    def forward(self, ids, mask):
        for name, value in zip(self.predictor.get_input_names(), (ids, mask)):
            self.predictor.get_input_handle(name).copy_from_cpu(value)
        self.predictor.run()
        return self.predictor.get_output_handle(self.predictor.get_output_names()[0]).copy_to_cpu()


class Network(nn.Layer):
    """As PaddleNLP writes it: embeddings, nn.TransformerEncoder with norms after, pooler, classifier."""

    def __init__(self, config):
        super().__init__()
        hidden = config["hidden_size"]
        self.words = nn.Embedding(config["vocab_size"], hidden)
        self.positions = nn.Embedding(config["max_position_embeddings"], hidden)
        self.kinds = nn.Embedding(config["type_vocab_size"], hidden)
        self.norm = nn.LayerNorm(hidden, epsilon=config["layer_norm_eps"])
        layer = nn.TransformerEncoderLayer(
            hidden, config["num_attention_heads"], config["intermediate_size"], dropout=0.0, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, config["num_hidden_layers"])
        for each in self.encoder.layers:
            for norm in (each.norm1, each.norm2):
                norm._epsilon = config["layer_norm_eps"]
        self.pooler = nn.Linear(hidden, hidden)
        self.classifier = nn.Linear(hidden, 2)

    def forward(self, ids, mask):
        ones = paddle.ones_like(ids)
        x = self.words(ids) + self.positions(paddle.cumsum(ones, axis=1) - ones) + self.kinds(paddle.zeros_like(ids))
        bias = ((1.0 - mask.astype("float32")) * -10000.0).unsqueeze([1, 2])
        x = self.encoder(self.norm(x), bias)
        return self.classifier(paddle.tanh(self.pooler(x[:, 0])))


def stored_weights(path):
    """The tensors of a safetensors file of f32: eight bytes of length, a JSON header, and the numbers."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        rest = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(rest[slice(*about["data_offsets"])], np.float32).reshape(about["shape"])
        for name, about in header.items()
    }


def renamed(stored, n_layers):
    """Hugging Face's names to those of `Network`; weights of linear layers lie the other way round."""
    tables, own = "ernie.embeddings", {}
    own["words.weight"] = stored[f"{tables}.word_embeddings.weight"]
    own["kinds.weight"] = stored[f"{tables}.token_type_embeddings.weight"]
    own["positions.weight"] = stored[f"{tables}.position_embeddings.weight"]
    own["positions.weight"] = own["positions.weight"] + stored[f"{tables}.task_type_embeddings.weight"][:1]
    linear = {"ernie.pooler.dense": "pooler", "classifier": "classifier"}
    norms = {f"{tables}.LayerNorm": "norm"}
    for i in range(n_layers):
        theirs, ours = f"ernie.encoder.layer.{i}", f"encoder.layers.{i}"
        for name, mine in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
            linear[f"{theirs}.attention.self.{name}"] = f"{ours}.self_attn.{mine}"
        linear[f"{theirs}.attention.output.dense"] = f"{ours}.self_attn.out_proj"
        linear[f"{theirs}.intermediate.dense"] = f"{ours}.linear1"
        linear[f"{theirs}.output.dense"] = f"{ours}.linear2"
        norms[f"{theirs}.attention.output.LayerNorm"] = f"{ours}.norm1"
        norms[f"{theirs}.output.LayerNorm"] = f"{ours}.norm2"
    for name, mine in (linear | norms).items():
        weight = stored[f"{name}.weight"]
        own[f"{mine}.weight"] = weight.T.copy() if name in linear else weight
        own[f"{mine}.bias"] = stored[f"{name}.bias"]
    return own


def prepare(work):
    target = work / "paddle/model.pdmodel"
    if target.is_file() and target.stat().st_mtime > (work / "model/made.json").stat().st_mtime:
        return
    config = json.loads((work / "model/config.json").read_text())
    network = Network(config)
    network.eval()
    own = renamed(stored_weights(work / "model/model.safetensors"), config["num_hidden_layers"])
    missing, unknown = network.set_state_dict(own)
    if missing or unknown:
        sys.exit(f"weights do not fit the network: {missing} {unknown}")
    spec = [paddle.static.InputSpec([None, None], "int64", name) for name in ("ids", "mask")]
    paddle.jit.save(paddle.jit.to_static(network, spec), str(target.with_suffix("")))


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
