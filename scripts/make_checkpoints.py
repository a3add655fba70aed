#!/usr/bin/env python3
"""Makes the small random checkpoints of tests/fixtures/checkpoints: make_checkpoints.py OUT_DIR. Needs only numpy.

Each folder holds a checkpoint as its library writes it, `expect.json` (inputs, names and shapes of the outputs) and
`expect.safetensors` (the outputs, computed here in float64). The generator of paddle-ernie holds
`expect_generation.json` instead: sources and what the reference's script writes for them.

The same seed gives the same bytes.

paddle_ernie_pdparams         encoder, protocol 4, relu, FFN of 4 x hidden, `token<TAB>id`, fewer tokens than rows
paddle_ernie_protocol2        encoder, protocol 2, gelu, query and value heads of different size, 4 sentence types
paddle_ernie_finetuned        classifier in save_dir/ckpt.bin, config and other weights in pretrained/
paddle_ernie_ner              token classification without pooler
paddle_ernie_mrc              start and end of an answer
paddle_ernie_pretraining      masked words and next sentence
paddle_ernie_generator        writes texts: heads of 10, [ATTN], fewer tokens than rows
fluid_params                  one file per variable in params/, with optimizer state
paddle_inference              inference.pdmodel and inference.pdiparams of a classifier
paddlenlp_encoder_task_id     task embedding 1, [PAD] row that counts as zero, epsilon of the config that does not count
paddlenlp_legacy_seqcls       model_config.json
paddlenlp_safetensors_tokcls  model.safetensors with matrices in Paddle's [in, out] layout
paddlenlp_qa                  question answering, pickled by numpy 2
paddlenlp_mlm                 masked words, tied decoder
paddlenlp_uie                 start and end probabilities
paddlenlp_uie_old_prefix      the same with names that begin with `encoder.` instead of `ernie.`
ernie_m                       no token types, positions from 2, [CLS] masked by default; ids only, no tokenizer
paddlenlp_dual_encoder        first token through emb_reduce_linear
paddlenlp_cross_encoder       three ways to match a pair
paddlenlp_gram                ErnieGramModel of PaddleNLP
paddlenlp_generator           the weights of paddle_ernie_generator as ErnieForGeneration of PaddleNLP
hf_encoder_safetensors        task embedding, epsilon 1e-5 of the config
hf_mlm_torch_zip              pytorch_model.bin (zip), LayerNorm.gamma and .beta, tied decoder, an int64 buffer
hf_seqcls_torch_legacy        pytorch_model.bin before torch 1.6, a tensor that is not contiguous, label names
hf_tokcls_sharded             two shards and their index
hf_qa_bf16                    bfloat16 weights
hf_multiple_choice            one logit for each pair
hf_bert_prefix                names that begin with `bert.`
hf_f16                        float16 weights
refused                       checkpoints that must not open; its expect.json says what the error must name
"""

import json
import math
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
ENGLISH = ["good", "hotel", "room", "##s", "look", "##ing", "the", "is", "x", "##p", "1", "##2"]
VOCAB = SPECIAL + list("今天气很好我们去看书他说这个不错房间大小干净服务在北京上海中国人是的了有一，。！？,.") + ENGLISH
PAD, CLS, SEP, UNK, MASK = range(5)
LETTERS = "abcdefghijklmnopqrstuvwxyz"

SINGLES = [
    ("short", "今天天气很好。", None),
    ("empty", "", None),
    ("mixed", "这个hotel的Rooms很GOOD, xp12间！", None),
    ("mask", "北京是中国的[MASK]京，去[MASK][MASK]。", None),
    ("pair", "房间干净吗？", "The room is looking good."),
    ("long", "今天我们去北京看书，他说房间很大，服务不错，我们是中国人。", None),
]
# For outputs that have a number for each token and word.
FEW = [entry for entry in SINGLES if entry[0] not in ("mixed", "long")]
PAIRS = [
    ("short", "房间？", "房间很大。"),
    ("first_empty", "", "今天天气很好。"),
    ("mixed", "Hotel rooms?", "这个hotel的Rooms很GOOD, 12间！"),
    ("mask", "北京[MASK]好？", "北京是中国的[MASK]京。"),
    ("long", "他说这个服务", "今天我们去上海看书，他说房间很小，不干净。"),
]
# [CLS] 0 [PAD] 1 [SEP] 2, the vocabulary of ERNIE-M.
ERNIE_M_IDS = [
    ("short", [0, 7, 8, 9, 2]),
    ("empty", [0, 2]),
    ("pair", [0, 5, 6, 2, 2, 10, 11, 12, 2]),
    ("unknown", [0, 3, 21, 3, 4, 2]),
    ("long", [0, *range(20, 48), 2]),
]


# Tokens.


def wordpiece(word: str, vocab: list[str] = VOCAB) -> list[int]:
    """Longest match first; a word with a remainder that is not in the vocabulary is unknown as a whole."""
    ids, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in vocab), None)
        if end is None:
            return [UNK]
        ids.append(vocab.index(prefix + word[start:end]))
        start = end
    return ids


def tokenize(text: str, vocab: list[str] = VOCAB, special: list[str] = SPECIAL) -> list[int]:
    strings = "|".join(map(re.escape, special))
    words = re.findall(rf"{strings}|[a-zA-Z0-9]+|\S", text)
    return [i for w in words for i in ([vocab.index(w)] if w in special else wordpiece(w.lower(), vocab))]


def encode(text: str, pair: str | None) -> tuple[list[int], list[int]]:
    """The ids and the token types of `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`."""
    first = [CLS, *tokenize(text), SEP]
    second = [] if pair is None else [*tokenize(pair), SEP]
    return first + second, [0] * len(first) + [1] * len(second)


# The model.


@dataclass(frozen=True)
class Sizes:
    """The dimensions of a checkpoint."""

    hidden: int = 8
    layers: int = 1
    heads: int = 2
    ffn: int = 12
    vocab: int = len(VOCAB)
    positions: int = 40
    types: int = 2
    tasks: int = 0
    query: int | None = None
    value: int | None = None


TWO_LAYERS = Sizes(hidden=12, layers=2, ffn=20)


def random_weights(name: str, sizes: Sizes, **heads: int) -> dict[str, np.ndarray]:
    """The tensors of an encoder by neutral name, and a linear layer of the given width for each head.

    `mlm` among the heads is the transform, LayerNorm and bias of masked words. The stream of RandomState is the one
    that numpy promises to keep.
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    weights = {}

    def normal(key: str, std: float, *shape: int) -> None:
        weights[key] = (rng.standard_normal(shape) * std).astype(np.float32)

    def linear(key: str, inputs: int, outputs: int) -> None:
        # So wide that wrong activations and transposed matrices show: 0.15 for a hidden size of 54.
        normal(f"{key}.weight", 1.1 / math.sqrt(inputs), inputs, outputs)
        normal(f"{key}.bias", 0.1, outputs)

    def layer_norm(key: str) -> None:
        weights[f"{key}.weight"] = rng.uniform(0.8, 1.2, sizes.hidden).astype(np.float32)
        normal(f"{key}.bias", 0.1, sizes.hidden)

    # Small embeddings, so that the epsilon of the LayerNorm shows.
    for key in ("word", "position", "type", "task"):
        rows = {"word": sizes.vocab, "position": sizes.positions, "type": sizes.types, "task": sizes.tasks}[key]
        if rows:
            normal(f"{key}.weight", 0.03, rows, sizes.hidden)
    layer_norm("embed_ln")
    query, value = sizes.query or sizes.hidden, sizes.value or sizes.hidden
    for i in range(sizes.layers):
        linear(f"q.{i}", sizes.hidden, query)
        linear(f"k.{i}", sizes.hidden, query)
        linear(f"v.{i}", sizes.hidden, value)
        linear(f"o.{i}", value, sizes.hidden)
        layer_norm(f"ln1.{i}")
        linear(f"ffn_in.{i}", sizes.hidden, sizes.ffn)
        linear(f"ffn_out.{i}", sizes.ffn, sizes.hidden)
        layer_norm(f"ln2.{i}")
    for head, width in heads.items():
        linear(head, sizes.hidden, width)
        if head == "mlm":
            layer_norm("mlm_ln")
            normal("decoder.bias", 0.1, sizes.vocab)
    return weights


def outer_mask(ids: np.ndarray) -> np.ndarray:
    """paddle-ernie: the outer product of `id != 0` with itself."""
    kept = (ids != 0).astype(np.float64)
    return (1 - np.outer(kept, kept)) * -10000.0


def key_mask(masked_id: int) -> Callable[[np.ndarray], np.ndarray]:
    """PaddleNLP: nobody attends to tokens of this id."""
    return lambda ids: np.tile((ids == masked_id) * -10000.0, (len(ids), 1))


def no_mask(ids: np.ndarray) -> np.ndarray:
    """Hugging Face: the caller's mask counts, and it keeps every token of a text that runs alone."""
    return np.zeros((len(ids), len(ids)))


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# Of every layer the keys and the values of some tokens, [heads, tokens, size].
Cache = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Ernie:
    """Post-norm ERNIE in float64 over tensors with neutral names, linear weights as [in, out]."""

    weights: dict[str, np.ndarray]
    heads: int
    act: Callable[[np.ndarray], np.ndarray]
    epsilon: float
    mask: Callable[[np.ndarray], np.ndarray]
    task_id: int = 0
    first_position: int = 0
    zero_word: int | None = None

    def get(self, name: str) -> np.ndarray:
        return self.weights[name].astype(np.float64)

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.get(f"{name}.weight") + self.get(f"{name}.bias")

    def layer_norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x * self.get(f"{name}.weight") + self.get(f"{name}.bias")

    def embed(self, ids: np.ndarray, types: list[int] | None) -> np.ndarray:
        words = self.get("word.weight")
        if self.zero_word is not None:
            words[self.zero_word] = 0
        x = words[ids] + self.get("position.weight")[self.first_position + np.arange(len(ids))]
        if types is not None:
            x = x + self.get("type.weight")[types]
        if "task.weight" in self.weights:
            x = x + self.get("task.weight")[self.task_id]
        return self.layer_norm(x, "embed_ln")

    def attend(self, x: np.ndarray, bias: np.ndarray, i: int, past: Cache | None) -> tuple:
        """What tokens see of those in `past` and of one another, and their keys and values, [heads, tokens, size]."""

        def heads(name: str) -> np.ndarray:
            return self.linear(x, f"{name}.{i}").reshape(len(x), self.heads, -1).transpose(1, 0, 2)

        query, key, value = heads("q"), heads("k"), heads("v")
        new = (key, value)
        if past is not None:
            key, value = (np.concatenate(pair, axis=1) for pair in zip(past[i], new))
        scores = query @ key.transpose(0, 2, 1) * query.shape[-1] ** -0.5 + bias
        mixed = softmax(scores) @ value
        return self.linear(mixed.transpose(1, 0, 2).reshape(len(x), -1), f"o.{i}"), new

    def layers(self, x: np.ndarray, bias: np.ndarray, past: Cache | None = None) -> tuple[np.ndarray, Cache]:
        """The last hidden states, [tokens, hidden], and the keys and values of every layer."""
        new = []
        while f"q.{len(new)}.weight" in self.weights:
            i = len(new)
            seen, keys_and_values = self.attend(x, bias, i, past)
            x = self.layer_norm(x + seen, f"ln1.{i}")
            x = self.layer_norm(x + self.linear(self.act(self.linear(x, f"ffn_in.{i}")), f"ffn_out.{i}"), f"ln2.{i}")
            new.append(keys_and_values)
        return x, new

    def encoded(self, ids: list[int], types: list[int] | None) -> np.ndarray:
        """The last hidden states, [tokens, hidden]."""
        ids = np.asarray(ids)
        return self.layers(self.embed(ids, types), self.mask(ids))[0]

    def pooled(self, encoded: np.ndarray) -> np.ndarray:
        return np.tanh(self.linear(encoded[0], "pooler"))

    def mlm_hidden(self, encoded: np.ndarray) -> np.ndarray:
        return self.layer_norm(self.act(self.linear(encoded, "mlm")), "mlm_ln")


# What a model computes for one input; every function gives arrays without the batch dimension.


Outputs = dict[str, np.ndarray]
Head = Callable[[Ernie, np.ndarray], Outputs]


def encoder(encoded_name: str, pooled_name: str) -> Head:
    return lambda m, encoded: {encoded_name: encoded, pooled_name: m.pooled(encoded)}


def sequence_logits(m: Ernie, encoded: np.ndarray) -> Outputs:
    return {"logits": m.linear(m.pooled(encoded), "classifier")}


def token_logits(m: Ernie, encoded: np.ndarray) -> Outputs:
    return {"logits": m.linear(encoded, "classifier")}


def span_logits(m: Ernie, encoded: np.ndarray) -> Outputs:
    logits = m.linear(encoded, "classifier")
    return {"start_logits": logits[:, 0], "end_logits": logits[:, 1]}


def span_probabilities(m: Ernie, encoded: np.ndarray) -> Outputs:
    return {f"{end}_prob": sigmoid(m.linear(encoded, end))[:, 0] for end in ("start", "end")}


def word_logits(name: str) -> Head:
    def head(m: Ernie, encoded: np.ndarray) -> Outputs:
        return {name: m.mlm_hidden(encoded) @ m.get("word.weight").T + m.get("decoder.bias")}

    return head


def embedding(m: Ernie, encoded: np.ndarray) -> Outputs:
    return {"embedding": m.linear(encoded[0], "reduce")}


def matching(m: Ernie, encoded: np.ndarray) -> Outputs:
    logits = m.linear(m.pooled(encoded), "classifier")
    first = m.linear(encoded[0], "classifier")
    return {"matching_probs": softmax(logits), "matching_v2": first, "matching_v3": logits}


# Names. A table maps a neutral stem to the stored names of its weight and bias; `{}` is the layer.


Names = dict[str, tuple[str, str]]


def dotted(stems: dict[str, str]) -> Names:
    return {key: (f"{stem}.weight", f"{stem}.bias") for key, stem in stems.items()}


PADDLE_ERNIE = dotted({
    "word": "word_emb", "position": "pos_emb", "type": "sent_emb", "embed_ln": "ln",
    "q": "encoder_stack.block.{}.attn.q", "k": "encoder_stack.block.{}.attn.k", "v": "encoder_stack.block.{}.attn.v",
    "o": "encoder_stack.block.{}.attn.o", "ln1": "encoder_stack.block.{}.ln1", "ln2": "encoder_stack.block.{}.ln2",
    "ffn_in": "encoder_stack.block.{}.ffn.i", "ffn_out": "encoder_stack.block.{}.ffn.o", "pooler": "pooler",
    "classifier": "classifier", "nsp": "pooler_heads.0.nsp", "mlm": "mlm", "mlm_ln": "mlm_ln",
}) | {"decoder": ("", "mlm_bias")}

FLUID = {
    "word": ("word_embedding", ""), "position": ("pos_embedding", ""), "type": ("sent_embedding", ""),
    "decoder": ("", "mask_lm_out_fc.b_0"),
} | {key: (f"{stem}.w_0", f"{stem}.b_0") for key, stem in {
    "q": "encoder_layer_{}_multi_head_att_query_fc", "k": "encoder_layer_{}_multi_head_att_key_fc",
    "v": "encoder_layer_{}_multi_head_att_value_fc", "o": "encoder_layer_{}_multi_head_att_output_fc",
    "ffn_in": "encoder_layer_{}_ffn_fc_0", "ffn_out": "encoder_layer_{}_ffn_fc_1", "pooler": "pooled_fc",
    "mlm": "mask_lm_trans_fc", "nsp": "next_sent_fc", "classifier": "cls",
}.items()} | {key: (f"{stem}_scale", f"{stem}_bias") for key, stem in {
    "embed_ln": "pre_encoder_layer_norm", "ln1": "encoder_layer_{}_post_att_layer_norm",
    "ln2": "encoder_layer_{}_post_ffn_layer_norm", "mlm_ln": "mask_lm_trans_layer_norm",
}.items()}


def paddlenlp_names(prefix: str) -> Names:
    base = {
        "word": "embeddings.word_embeddings", "position": "embeddings.position_embeddings",
        "type": "embeddings.token_type_embeddings", "task": "embeddings.task_type_embeddings",
        "embed_ln": "embeddings.layer_norm", "q": "encoder.layers.{}.self_attn.q_proj",
        "k": "encoder.layers.{}.self_attn.k_proj", "v": "encoder.layers.{}.self_attn.v_proj",
        "o": "encoder.layers.{}.self_attn.out_proj", "ffn_in": "encoder.layers.{}.linear1",
        "ffn_out": "encoder.layers.{}.linear2", "ln1": "encoder.layers.{}.norm1", "ln2": "encoder.layers.{}.norm2",
        "pooler": "pooler.dense",
    }
    heads = {
        "classifier": "classifier", "mlm": "cls.predictions.transform", "mlm_ln": "cls.predictions.layer_norm",
        "start": "linear_start", "end": "linear_end", "reduce": "emb_reduce_linear",
    }
    return dotted({k: prefix + v for k, v in base.items()} | heads) | {"decoder": ("", "cls.predictions.decoder_bias")}


def hf_names(prefix: str, classifier: str = "classifier") -> Names:
    base = {
        "word": "embeddings.word_embeddings", "position": "embeddings.position_embeddings",
        "type": "embeddings.token_type_embeddings", "task": "embeddings.task_type_embeddings",
        "embed_ln": "embeddings.LayerNorm", "q": "encoder.layer.{}.attention.self.query",
        "k": "encoder.layer.{}.attention.self.key", "v": "encoder.layer.{}.attention.self.value",
        "o": "encoder.layer.{}.attention.output.dense", "ln1": "encoder.layer.{}.attention.output.LayerNorm",
        "ffn_in": "encoder.layer.{}.intermediate.dense", "ffn_out": "encoder.layer.{}.output.dense",
        "ln2": "encoder.layer.{}.output.LayerNorm", "pooler": "pooler.dense",
    }
    heads = {
        "classifier": classifier, "mlm": "cls.predictions.transform.dense",
        "mlm_ln": "cls.predictions.transform.LayerNorm",
    }
    return dotted({k: prefix + v for k, v in base.items()} | heads) | {"decoder": ("", "cls.predictions.bias")}


def stored_name(key: str, names: Names) -> str:
    stem, *layer, kind = key.split(".")
    return names[stem][kind == "bias"].format(*layer)


def stored(weights: dict[str, np.ndarray], names: Names) -> dict[str, np.ndarray]:
    return {stored_name(key, names): array for key, array in weights.items()}


def transposed(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The layout of torch: linear weights as [out, in], embeddings as they are."""
    tables = {"word.weight", "position.weight", "type.weight", "task.weight"}
    return {key: np.ascontiguousarray(a.T) if a.ndim == 2 and key not in tables else a for key, a in weights.items()}


def paddlenlp_variables(tensors: dict[str, np.ndarray]) -> dict[str, str]:
    """The variable names that Paddle counts up: `linear_3.w_0`."""
    counts, of_layer = {}, {}
    for name in tensors:
        layer = name.rpartition(".")[0]
        if layer not in of_layer:
            kind = "embedding" if layer.endswith("_embeddings") else "layer_norm" if "norm" in layer else "linear"
            of_layer[layer] = f"{kind}_{counts.get(kind, 0)}"
            counts[kind] = counts.get(kind, 0) + 1
    return {name: f"{of_layer[name.rpartition('.')[0]]}.{'b' if name.endswith('bias') else 'w'}_0" for name in tensors}


# Pickles.


class Global(NamedTuple):
    """A name that the reader would import."""

    module: str
    name: str


@dataclass(eq=False)
class Call:
    """The result of a call, with a state if there is one."""

    function: Global
    arguments: tuple
    state: tuple | None = None


class Persistent(NamedTuple):
    """An object that lies outside the pickle."""

    id: tuple


class Pickle:
    """Writes a value opcode by opcode: the same bytes whatever the versions of Python and numpy, any global name."""

    def __init__(self, protocol: int):
        self.protocol = protocol
        self.out = bytearray()
        self.memo = {}

    def dump(self, value: object) -> bytes:
        self.write(value)
        body = bytes(self.out) + b"."
        frame = b"\x95" + struct.pack("<Q", len(body)) if self.protocol >= 4 else b""
        return b"\x80" + bytes([self.protocol]) + frame + body

    def write(self, value: object) -> None:
        simple = {None: b"N", True: b"\x88", False: b"\x89"}
        if value is None or isinstance(value, bool):
            self.out += simple[value]
        elif isinstance(value, int):
            self.write_int(value)
        elif isinstance(value, (str, Global)):
            self.once((type(value), value), value)
        elif isinstance(value, Call):
            self.once(id(value), value)
        elif isinstance(value, bytes):
            self.out += b"C" + bytes([len(value)]) if len(value) < 256 else b"B" + struct.pack("<I", len(value))
            self.out += value
        elif isinstance(value, Persistent):
            self.write(value.id)
            self.out += b"Q"
        elif isinstance(value, tuple):
            self.write_tuple(value)
        elif isinstance(value, list):
            self.out += b"]("
            self.write_all(value)
            self.out += b"e"
        else:
            self.out += b"}("
            self.write_all(x for item in value.items() for x in item)
            self.out += b"u"

    def write_all(self, values) -> None:
        for value in values:
            self.write(value)

    def write_int(self, value: int) -> None:
        if 0 <= value < 256:
            self.out += b"K" + bytes([value])
        elif 0 <= value < 65536:
            self.out += b"M" + struct.pack("<H", value)
        elif -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.out += b"\x8a" + bytes([len(data)]) + data

    def write_tuple(self, value: tuple) -> None:
        if len(value) > 3:
            self.out += b"("
        self.write_all(value)
        self.out += [b")", b"\x85", b"\x86", b"\x87"][len(value)] if len(value) <= 3 else b"t"

    def once(self, key: object, value: object) -> None:
        """Fetches from the memo what was written before."""
        if key in self.memo:
            index = self.memo[key]
            self.out += b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index)
            return
        if isinstance(value, str):
            data = value.encode()
            short = self.protocol >= 4 and len(data) < 256
            self.out += (b"\x8c" + bytes([len(data)]) if short else b"X" + struct.pack("<I", len(data))) + data
        elif isinstance(value, Global):
            if self.protocol >= 4:
                self.write_all([value.module, value.name])
                self.out += b"\x93"
            else:
                self.out += b"c" + f"{value.module}\n{value.name}\n".encode()
        else:
            self.write_all([value.function, value.arguments])
            self.out += b"R"
            if value.state is not None:
                self.write(value.state)
                self.out += b"b"
        index = self.memo[key] = len(self.memo)
        if self.protocol >= 4:
            self.out += b"\x94"
        else:
            self.out += b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index)


def pdparams(
    tensors: dict[str, np.ndarray], protocol: int = 4, variables: dict[str, str] | None = None,
    core: str = "numpy.core",
) -> bytes:
    """paddle.save of a state dict; `variables` is its StructuredToParameterName@@."""

    def data(raw: bytes) -> bytes | Call:
        return raw if protocol >= 3 else Call(Global("_codecs", "encode"), (raw.decode("latin1"), "latin1"))

    float32 = Call(Global("numpy", "dtype"), ("f4", False, True), (3, "<", None, None, None, -1, -1, 0))
    reconstruct = Global(f"{core}.multiarray", "_reconstruct")
    empty = (Global("numpy", "ndarray"), (0,), data(b"b"))
    state = {
        name: Call(reconstruct, empty, (1, a.shape, float32, False, data(a.tobytes()))) for name, a in tensors.items()
    }
    if variables:
        state["StructuredToParameterName@@"] = variables
    return Pickle(protocol).dump(state)


def torch_tensor(storage: str, key: str, array: np.ndarray, view_metadata: tuple = ()) -> Call:
    """A tensor over the storage `key`, which holds the elements in the order in which they lie in memory."""
    place = Persistent(("storage", Global("torch", storage), key, "cpu", array.size, *view_metadata))
    strides = tuple(s // array.itemsize for s in array.strides)
    hooks = Call(Global("collections", "OrderedDict"), ())
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), (place, 0, array.shape, strides, False, hooks))


def storage_bytes(array: np.ndarray) -> bytes:
    """The elements in the order in which they lie in memory: of a transposed matrix, the columns."""
    return array.T.tobytes() if array.flags.f_contiguous else array.tobytes()


def torch_zip(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """torch.save since 1.6. Tensors that are one array share a storage."""
    keys, state = {}, {}
    for name, array in tensors.items():
        key = keys.setdefault(id(array), str(len(keys)))
        state[name] = torch_tensor("LongStorage" if array.dtype == np.int64 else "FloatStorage", key, array)
    storages = {keys[id(array)]: storage_bytes(array) for array in tensors.values()}
    files = {"data.pkl": Pickle(2).dump(state), "byteorder": b"little"}
    files |= {f"data/{key}": data for key, data in storages.items()} | {"version": b"3\n"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", (1980, 1, 1, 0, 0, 0)), data)


def torch_legacy(tensors: dict[str, np.ndarray]) -> bytes:
    """torch.save before 1.6: five pickles, then the storages, each after its number of elements."""
    magic, version = 0x1950A86A20F9469CFC6C, 1001
    sizes = {"short": 2, "int": 4, "long": 4}
    keys = {name: str(94668190804128 + 64 * i) for i, name in enumerate(tensors)}
    state = {name: torch_tensor("FloatStorage", keys[name], a, (None,)) for name, a in tensors.items()}
    info = {"protocol_version": version, "little_endian": True, "type_sizes": sizes}
    heads = [magic, version, info, state, sorted(keys.values())]
    by_key = {keys[name]: array for name, array in tensors.items()}
    storages = [struct.pack("<q", by_key[key].size) + storage_bytes(by_key[key]) for key in sorted(by_key)]
    return b"".join([Pickle(2).dump(head) for head in heads] + storages)


# Safetensors.


def bf16(array: np.ndarray) -> np.ndarray:
    """The upper halves of the float32 values, rounded to nearest even."""
    bits = array.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def widened(half: np.ndarray) -> np.ndarray:
    return (half.astype(np.uint32) << 16).view(np.float32)


def safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """uint16 arrays are written as BF16."""
    types = {"float32": "F32", "float16": "F16", "uint16": "BF16"}
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, array in sorted(tensors.items()):
        raw = array.tobytes()
        header[name] = {
            "dtype": types[array.dtype.name], "shape": array.shape, "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# Paddle's protobuf messages and tensor streams.


class Long(int):
    """An attribute of type LONG; a plain int is one of type INT."""


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, object]) -> bytes:
    """(number, value): a whole number, a float32, a string or bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


FP32, INT64 = 5, 3


def tensor_desc(data_type: int, dims: tuple[int, ...]) -> bytes:
    return message((1, data_type), *((2, d) for d in dims))


def lod_tensor(array: np.ndarray) -> bytes:
    desc = tensor_desc(INT64 if array.dtype == np.int64 else FP32, array.shape)
    return struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc + array.tobytes()


def attribute(name: str, value: object) -> bytes:
    kind, number = {
        bool: (6, 10), int: (0, 3), Long: (9, 13), float: (1, 4), str: (2, 5), list: (3, 6),
    }[type(value)]
    values = value if isinstance(value, list) else [value]
    return message((1, name), (2, kind), *((number, v) for v in values))


class Program:
    """A ProgramDesc with one block."""

    def __init__(self):
        self.operators = []
        self.temporaries = 0

    def op(self, kind: str, inputs: dict[str, str], output: str | None = None, slot: str = "Out", **attributes) -> str:
        """Appends an operator; the name of its output."""
        if output is None:
            output = f"tmp_{self.temporaries}"
            self.temporaries += 1
        self.operators.append(message(
            *((1, message((1, name), (2, variable))) for name, variable in sorted(inputs.items())),
            (2, message((1, slot), (2, output))), (3, kind),
            *((4, attribute(name, value)) for name, value in sorted(attributes.items())),
        ))
        return output

    def add(self, x: str, y: str) -> str:
        return self.op("elementwise_add", {"X": x, "Y": y}, axis=-1)

    def matmul(self, x: str, y: str, trans_y: bool = False) -> str:
        return self.op("matmul_v2", {"X": x, "Y": y}, trans_x=False, trans_y=trans_y)

    def linear(self, x: str, key: str) -> str:
        return self.add(self.matmul(x, stored_name(f"{key}.weight", FLUID)), stored_name(f"{key}.bias", FLUID))

    def layer_norm(self, x: str, key: str, epsilon: float) -> str:
        scale, bias = (stored_name(f"{key}.{kind}", FLUID) for kind in ("weight", "bias"))
        return self.op("layer_norm", {"X": x, "Scale": scale, "Bias": bias}, slot="Y", epsilon=epsilon,
                       begin_norm_axis=2)

    def scale(self, x: str, scale: float, bias: float = 0.0, output: str | None = None) -> str:
        return self.op("scale", {"X": x}, output, scale=scale, bias=bias, bias_after_scale=True)

    def dump(self, parameters: dict[str, np.ndarray], feeds: list[str]) -> bytes:
        def variable(name: str, kind: bytes, persistable: bool) -> tuple[int, bytes]:
            return 3, message((1, name), (2, kind), (3, persistable))

        def dense(data_type: int, dims: tuple[int, ...]) -> bytes:
            return message((1, 7), (3, message((1, tensor_desc(data_type, dims)))))

        variables = [variable(name, dense(FP32, a.shape), True) for name, a in sorted(parameters.items())]
        variables += [variable(name, dense(INT64, (-1, -1)), False) for name in feeds]
        variables += [variable("feed", message((1, 9)), True), variable("fetch", message((1, 10)), True)]
        block = message((1, 0), (2, -1), *variables, *((4, op) for op in self.operators))
        return message((1, block), (4, message((1, 2006002))))


def classifier_program(sizes: Sizes, epsilon: float, parameters: dict[str, np.ndarray]) -> bytes:
    """The seed's classifier as paddle.jit.save writes it, dropout left out."""
    p = Program()
    for col, name in reversed(list(enumerate(["src_ids", "sent_ids"]))):
        p.op("feed", {"X": "feed"}, name, col=col)

    ones = p.op("fill_any_like", {"X": "src_ids"}, value=1.0, dtype=INT64)
    counted = p.op("cumsum", {"X": ones}, axis=1, exclusive=True, reverse=False, flatten=False)
    zeros = p.op("fill_any_like", {"X": "src_ids"}, value=0.0, dtype=INT64)
    real = p.op("not_equal", {"X": "src_ids", "Y": zeros}, axis=-1)
    kept = p.op("unsqueeze2", {"X": p.op("cast", {"X": real}, in_dtype=0, out_dtype=FP32)}, axes=[-1])
    dropped = p.scale(p.scale(p.matmul(kept, kept, trans_y=True), -1.0, 1.0), -10000.0)
    bias = p.op("tile", {"X": p.op("unsqueeze2", {"X": dropped}, axes=[1])}, repeat_times=[1, sizes.heads, 1, 1])

    tables = [("word", "src_ids"), ("position", counted), ("type", "sent_ids")]
    word, position, kind = (
        p.op("lookup_table_v2", {"Ids": ids, "W": stored_name(f"{key}.weight", FLUID)}, padding_idx=Long(-1))
        for key, ids in tables
    )
    x = p.layer_norm(p.add(p.add(word, position), kind), "embed_ln", epsilon)
    head_dim = sizes.hidden // sizes.heads
    for i in range(sizes.layers):
        heads = [p.op("transpose2", {"X": p.op("reshape2", {"X": y}, shape=[0, 0, sizes.heads, head_dim])},
                      axis=[0, 2, 1, 3])
                 for y in [p.linear(x, f"{key}.{i}") for key in "qkv"]]
        scores = p.add(p.matmul(p.scale(heads[0], head_dim**-0.5), heads[1], trans_y=True), bias)
        mixed = p.matmul(p.op("softmax", {"X": scores}, axis=-1), heads[2])
        mixed = p.op("transpose2", {"X": mixed}, axis=[0, 2, 1, 3])
        joined = p.op("reshape2", {"X": mixed}, shape=[0, 0, sizes.hidden])
        x = p.layer_norm(p.add(p.linear(joined, f"o.{i}"), x), f"ln1.{i}", epsilon)
        inner = p.op("gelu", {"X": p.linear(x, f"ffn_in.{i}")}, approximate=False)
        x = p.layer_norm(p.add(p.linear(inner, f"ffn_out.{i}"), x), f"ln2.{i}", epsilon)
    first = p.op("slice", {"Input": x}, axes=[1], starts=[0], ends=[1], decrease_axis=[1], infer_flags=[1])
    logits = p.linear(p.op("tanh", {"X": p.linear(first, "pooler")}), "classifier")
    p.scale(logits, 1.0, output="save_infer_model/scale_0.tmp_0")
    p.op("fetch", {"X": "save_infer_model/scale_0.tmp_0"}, "fetch", col=0)
    return p.dump(parameters, ["src_ids", "sent_ids"])


# Folders.


def write(path: Path, content: bytes | str | dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict):
        content = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def vocabulary(tokens: list[str] = VOCAB, numbered: bool = False) -> str:
    return "".join(f"{token}\t{i}\n" if numbered else f"{token}\n" for i, token in enumerate(tokens))


def paddle_ernie_config(sizes: Sizes, act: str, **more: object) -> dict:
    return {
        "attention_probs_dropout_prob": 0.1, "hidden_act": act, "hidden_dropout_prob": 0.1,
        "hidden_size": sizes.hidden, "initializer_range": 0.02, "intermediate_size": sizes.ffn,
        "max_position_embeddings": sizes.positions, "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers, "type_vocab_size": sizes.types, "vocab_size": sizes.vocab,
    } | more


def paddlenlp_config(architecture: str, sizes: Sizes, act: str = "gelu", **more: object) -> dict:
    return {"architectures": [architecture], "model_type": "ernie", "pad_token_id": PAD} | paddle_ernie_config(
        sizes, act, layer_norm_eps=1e-12, pool_act="tanh", task_id=0, task_type_vocab_size=3, fuse=False,
        use_task_id=sizes.tasks > 0, paddlenlp_version=None, **more)


def hf_config(architecture: str, sizes: Sizes, **more: object) -> dict:
    return {
        "architectures": [architecture], "model_type": "ernie", "pad_token_id": PAD,
        "position_embedding_type": "absolute", "use_cache": True,
    } | paddle_ernie_config(
        sizes, "gelu", layer_norm_eps=1e-12, task_type_vocab_size=3, use_task_id=sizes.tasks > 0) | more


def tokenizer_files(folder: Path, tokenizer: str, tokens: list[str] = VOCAB) -> None:
    named = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
             "mask_token": "[MASK]"}
    write(folder / "tokenizer_config.json", {"tokenizer_class": tokenizer, "do_lower_case": True} | named)
    write(folder / "vocab.txt", vocabulary(tokens))


@dataclass
class Case:
    """One folder; what it expects is collected input by input."""

    folder: Path
    format: str
    task: str
    config_dir: str = "."
    weights: str | None = None
    inputs: list[dict] = field(default_factory=list)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    def tensor(self, key: str, array: np.ndarray) -> dict:
        self.tensors[key] = array.astype(np.float32)
        return {"key": key, "shape": array.shape}

    def expect(self, entry: dict, outputs: Outputs) -> dict:
        """Adds an input with its outputs, each of which gets a batch dimension of one."""
        named = {name: self.tensor(f"{entry['id']}/{name}", array[np.newaxis]) for name, array in outputs.items()}
        self.inputs.append(entry | {"outputs": named})
        return self.inputs[-1]

    def run(self, model: Ernie, head: Head, texts: list, **per_token: Callable[[int], list[int]]) -> None:
        for name, text, pair in texts:
            ids, types = encode(text, pair)
            entry = {"id": name, "text": text, "pair": pair, "input_ids": ids, "token_type_ids": types}
            entry |= {key: values(len(ids)) for key, values in per_token.items()}
            self.expect(entry, head(model, model.encoded(ids, types)))

    def finish(self) -> None:
        about = {
            "case": self.folder.name, "format": self.format, "task": self.task,
            "reference": {"library": "float64 numpy in scripts/make_checkpoints.py"}, "config_dir": self.config_dir,
        }
        if self.weights:
            about["weights"] = self.weights
        about["tolerance"] = {"advised_atol": 2e-5}
        lines = [f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in about.items()]
        inputs = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in self.inputs)
        write(self.folder / "expect.json", "{\n" + "".join(lines) + f' "inputs": [\n{inputs}\n ]\n}}\n')
        write(self.folder / "expect.safetensors", safetensors(self.tensors))


def ones(length: int) -> list[int]:
    return [1] * length


def count(length: int) -> list[int]:
    return list(range(length))


# paddle-ernie.


def seed_model(weights: dict[str, np.ndarray], sizes: Sizes, act: Callable) -> Ernie:
    return Ernie(weights, sizes.heads, act, 1e-5, outer_mask)


def seed_pickle(weights: dict[str, np.ndarray]) -> bytes:
    variables = {stored_name(key, PADDLE_ERNIE): stored_name(key, FLUID) for key in weights}
    return pdparams(stored(weights, PADDLE_ERNIE), variables=variables)


def paddle_ernie_encoders(root: Path) -> None:
    case = Case(root / "paddle_ernie_pdparams", "paddle-ernie", "encoder")
    sizes = replace(TWO_LAYERS, ffn=4 * TWO_LAYERS.hidden, vocab=len(VOCAB) + 3)
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden)
    config = paddle_ernie_config(sizes, "relu")
    del config["intermediate_size"]
    write(case.folder / "ernie_config.json", config)
    write(case.folder / "vocab.txt", vocabulary(numbered=True))
    write(case.folder / "saved_weights.pdparams", seed_pickle(weights))
    case.run(seed_model(weights, sizes, relu), encoder("encoded", "pooled"), SINGLES)
    case.finish()

    case = Case(root / "paddle_ernie_protocol2", "paddle-ernie", "encoder")
    sizes = Sizes(query=10, value=14, types=4)
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden)
    config = paddle_ernie_config(sizes, "gelu", query_hidden_size_per_head=5, value_hidden_size_per_head=7,
                                 sent_type_vocab_size=4, task_type_vocab_size=16)
    del config["type_vocab_size"]
    write(case.folder / "ernie_config.json", config)
    write(case.folder / "vocab.txt", vocabulary())
    write(case.folder / "saved_weights.pdparams", pdparams(stored(weights, PADDLE_ERNIE), protocol=2))
    case.run(seed_model(weights, sizes, gelu), encoder("encoded", "pooled"), SINGLES)
    case.finish()


def paddle_ernie_finetuned(root: Path) -> None:
    case = Case(root / "paddle_ernie_finetuned", "paddle-ernie", "sequence_classification", "pretrained",
                "save_dir/ckpt.bin")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, classifier=3)
    before = random_weights(f"{case.folder.name} before", sizes, pooler=sizes.hidden)
    write(case.folder / "pretrained/ernie_config.json", paddle_ernie_config(sizes, "relu"))
    write(case.folder / "pretrained/vocab.txt", vocabulary())
    write(case.folder / "pretrained/saved_weights.pdparams", seed_pickle(before))
    write(case.folder / "save_dir/ckpt.bin", seed_pickle(weights))
    case.run(seed_model(weights, sizes, relu), sequence_logits, SINGLES)
    case.finish()


def paddle_ernie_heads(root: Path) -> None:
    sizes = Sizes()
    tasks = [
        ("paddle_ernie_ner", "token_classification", {"classifier": 5}, token_logits, SINGLES),
        ("paddle_ernie_mrc", "question_answering", {"pooler": sizes.hidden, "classifier": 2}, span_logits, PAIRS),
    ]
    for name, task, heads, head, texts in tasks:
        case = Case(root / name, "paddle-ernie", task)
        weights = random_weights(name, sizes, **heads)
        write(case.folder / "ernie_config.json", paddle_ernie_config(sizes, "gelu"))
        write(case.folder / "vocab.txt", vocabulary())
        write(case.folder / "saved_weights.pdparams", seed_pickle(weights))
        case.run(seed_model(weights, sizes, gelu), head, texts)
        case.finish()


def paddle_ernie_pretraining(root: Path) -> None:
    case = Case(root / "paddle_ernie_pretraining", "paddle-ernie", "pretraining / cloze")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, nsp=2, mlm=sizes.hidden)
    write(case.folder / "ernie_config.json", paddle_ernie_config(sizes, "relu"))
    write(case.folder / "vocab.txt", vocabulary())
    write(case.folder / "saved_weights.pdparams", seed_pickle(weights))
    model = seed_model(weights, sizes, relu)
    for name, text, pair in SINGLES:
        ids, types = encode(text, pair)
        encoded = model.encoded(ids, types)
        entry = {"id": name, "text": text, "pair": pair, "input_ids": ids, "token_type_ids": types}
        entry = case.expect(entry, encoder("encoded", "pooled")(model, encoded))
        entry["nsp_logits"] = case.tensor(f"{name}/nsp", model.linear(model.pooled(encoded)[np.newaxis], "nsp"))
        masked = entry["mask_positions"] = [i for i, token in enumerate(ids) if token == MASK]
        if masked:
            entry["mlm_transform"] = case.tensor(f"{name}/mlm_hidden", model.mlm_hidden(encoded[masked]))
    case.finish()


def fluid_params(root: Path) -> None:
    case = Case(root / "fluid_params", "paddle-fluid params directory", "encoder (+ mlm, nsp heads)")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, nsp=2, mlm=sizes.hidden)
    write(case.folder / "ernie_config.json", paddle_ernie_config(sizes, "relu"))
    write(case.folder / "vocab.txt", vocabulary())
    leftovers = {
        "@LR_DECAY_COUNTER@": np.array([7], np.int64),
        "pooled_fc.b_0_beta1_pow_acc_0": np.array([0.9], np.float32),
        "pooled_fc.b_0_moment1_0": np.zeros(sizes.hidden, np.float32),
        "pre_encoder_layer_norm_scale_moment2_0": np.zeros(sizes.hidden, np.float32),
    }
    for name, array in (stored(weights, FLUID) | leftovers).items():
        write(case.folder / "params" / name, lod_tensor(array))
    case.run(seed_model(weights, sizes, relu), encoder("encoded", "pooled"), SINGLES)
    case.finish()


def paddle_inference(root: Path) -> None:
    case = Case(root / "paddle_inference", "paddle inference model", "sequence_classification")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, classifier=3)
    parameters = stored(weights, FLUID)
    write(case.folder / "ernie_config.json", paddle_ernie_config(sizes, "gelu"))
    write(case.folder / "vocab.txt", vocabulary())
    write(case.folder / "inference.pdmodel", classifier_program(sizes, 1e-5, parameters))
    write(case.folder / "inference.pdiparams", b"".join(lod_tensor(a) for _, a in sorted(parameters.items())))
    case.run(seed_model(weights, sizes, gelu), sequence_logits, SINGLES)
    case.finish()


# PaddleNLP.


def paddlenlp_model(weights: dict[str, np.ndarray], sizes: Sizes, act: Callable = gelu, **more: object) -> Ernie:
    return replace(Ernie(weights, sizes.heads, act, 1e-12, key_mask(PAD), zero_word=PAD), **more)


def paddlenlp_pickle(weights: dict[str, np.ndarray], prefix: str, core: str = "numpy.core") -> bytes:
    tensors = stored(weights, paddlenlp_names(prefix))
    return pdparams(tensors, variables=paddlenlp_variables(tensors), core=core)


def paddlenlp_encoders(root: Path) -> None:
    case = Case(root / "paddlenlp_encoder_task_id", "paddlenlp", "encoder")
    sizes = replace(TWO_LAYERS, types=4, tasks=3)
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden)
    write(case.folder / "config.json", paddlenlp_config("ErnieModel", sizes) | {"task_id": 1, "layer_norm_eps": 1e-5})
    write(case.folder / "model_state.pdparams", paddlenlp_pickle(weights, ""))
    tokenizer_files(case.folder, "ErnieTokenizer")
    texts = [*SINGLES, ("pad_in_text", "今天[PAD]很好", None)]
    case.run(paddlenlp_model(weights, sizes, task_id=1), encoder("sequence_output", "pooled_output"), texts)
    case.finish()

    case = Case(root / "paddlenlp_gram", "paddlenlp", "encoder")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden)
    more = {"architectures": ["ErnieGramModel"], "model_type": "ernie_gram", "pad_token_id": PAD,
            "embedding_size": sizes.hidden, "rel_pos_size": None}
    write(case.folder / "config.json", paddle_ernie_config(sizes, "gelu", **more))
    write(case.folder / "model_state.pdparams", paddlenlp_pickle(weights, ""))
    tokenizer_files(case.folder, "ErnieGramTokenizer")
    case.run(paddlenlp_model(weights, sizes, epsilon=1e-5), encoder("sequence_output", "pooled_output"), SINGLES)
    case.finish()


def paddlenlp_seqcls(root: Path) -> None:
    case = Case(root / "paddlenlp_legacy_seqcls", "paddlenlp", "sequence_classification")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, classifier=3)
    base = paddle_ernie_config(sizes, "relu", pad_token_id=PAD, init_class="ErnieModel")
    write(case.folder / "model_config.json",
          {"init_args": [base], "num_classes": 3, "init_class": "ErnieForSequenceClassification"})
    write(case.folder / "model_state.pdparams", paddlenlp_pickle(weights, "ernie."))
    tokenizer_files(case.folder, "ErnieTokenizer")
    case.run(paddlenlp_model(weights, sizes, relu), sequence_logits, SINGLES)
    case.finish()


def paddlenlp_tokcls(root: Path) -> None:
    case = Case(root / "paddlenlp_safetensors_tokcls", "paddlenlp", "token_classification")
    sizes = Sizes(types=4)
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, classifier=5)
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    write(case.folder / "config.json", paddlenlp_config("ErnieForTokenClassification", sizes, **names))
    tensors = stored(weights, paddlenlp_names("ernie."))
    write(case.folder / "model.safetensors", safetensors(tensors, {"format": "np"}))
    tokenizer_files(case.folder, "ErnieTokenizer")
    case.run(paddlenlp_model(weights, sizes), token_logits, SINGLES)
    case.finish()


def paddlenlp_spans(root: Path) -> None:
    case = Case(root / "paddlenlp_qa", "paddlenlp", "question_answering")
    sizes = Sizes(types=4, tasks=3)
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, classifier=2)
    write(case.folder / "config.json", paddlenlp_config("ErnieForQuestionAnswering", sizes))
    write(case.folder / "model_state.pdparams", paddlenlp_pickle(weights, "ernie.", core="numpy._core"))
    tokenizer_files(case.folder, "ErnieTokenizer")
    case.run(paddlenlp_model(weights, sizes), span_logits, PAIRS)
    case.finish()

    for name, prefix in [("paddlenlp_uie", "ernie."), ("paddlenlp_uie_old_prefix", "encoder.")]:
        case = Case(root / name, "paddlenlp", "uie")
        weights = random_weights(name, sizes, pooler=sizes.hidden, start=1, end=1)
        write(case.folder / "config.json", paddlenlp_config("UIE", sizes))
        write(case.folder / "model_state.pdparams", paddlenlp_pickle(weights, prefix))
        tokenizer_files(case.folder, "ErnieTokenizer")
        case.run(paddlenlp_model(weights, sizes), span_probabilities, PAIRS, position_ids=count, attention_mask=ones)
        case.finish()


def paddlenlp_mlm(root: Path) -> None:
    case = Case(root / "paddlenlp_mlm", "paddlenlp", "masked_lm")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, mlm=sizes.hidden)
    write(case.folder / "config.json", paddlenlp_config("ErnieForMaskedLM", sizes))
    tensors = stored(weights, paddlenlp_names("ernie."))
    tensors["cls.predictions.decoder.weight"] = weights["word.weight"]
    tensors["cls.predictions.decoder.bias"] = weights["decoder.bias"]
    variables = paddlenlp_variables(tensors)
    variables["cls.predictions.decoder.weight"] = variables["ernie.embeddings.word_embeddings.weight"]
    variables["cls.predictions.decoder.bias"] = variables["cls.predictions.decoder_bias"]
    write(case.folder / "model_state.pdparams", pdparams(tensors, variables=variables))
    tokenizer_files(case.folder, "ErnieTokenizer")
    case.run(paddlenlp_model(weights, sizes), word_logits("prediction_logits"), FEW)
    case.finish()


def ernie_m(root: Path) -> None:
    case = Case(root / "ernie_m", "paddlenlp", "encoder")
    sizes = Sizes(positions=42, types=0)
    # The reference ignores the config's intermediate_size.
    weights = random_weights(case.folder.name, replace(sizes, ffn=4 * sizes.hidden), pooler=sizes.hidden)
    more = {"architectures": ["ErnieMModel"], "model_type": "ernie_m", "pad_token_id": 1, "type_vocab_size": 16}
    write(case.folder / "config.json", paddle_ernie_config(sizes, "gelu", **more))
    write(case.folder / "model_state.pdparams", paddlenlp_pickle(weights, ""))
    # Without a mask the reference masks id 0, which is [CLS] here, and not the padding.
    default = Ernie(weights, sizes.heads, gelu, 1e-5, key_mask(0), first_position=2)
    masked = replace(default, mask=no_mask)
    for name, ids in ERNIE_M_IDS:
        outputs = {}
        for variant, model in (("default", default), ("masked", masked)):
            head = encoder(f"{variant}/sequence_output", f"{variant}/pooled_output")
            outputs |= head(model, model.encoded(ids, None))
        case.expect({"id": name, "text": None, "pair": None, "input_ids": ids, "position_ids": count(len(ids)),
                     "attention_mask": ones(len(ids))}, outputs)
    case.finish()


def rocketqa(root: Path) -> None:
    sizes = Sizes()
    tasks = [
        ("paddlenlp_dual_encoder", "dual_encoder", {"classifier": 2, "reduce": 6}, embedding, SINGLES),
        ("paddlenlp_cross_encoder", "cross_encoder", {"classifier": 2}, matching, PAIRS),
    ]
    for name, task, heads, head, texts in tasks:
        case = Case(root / name, "paddlenlp", task)
        weights = random_weights(name, sizes, pooler=sizes.hidden, **heads)
        write(case.folder / "config.json", paddlenlp_config("ErnieEncoder", sizes, "relu"))
        write(case.folder / "model_state.pdparams", paddlenlp_pickle(weights, "ernie."))
        tokenizer_files(case.folder, "ErnieTokenizer")
        case.run(paddlenlp_model(weights, sizes, relu), head, texts)
        case.finish()


# Generators.


GENERATOR_VOCAB = [*SPECIAL, "[ATTN]", *LETTERS, *(f"##{letter}" for letter in LETTERS),
                   *"今天气很好我们去北京中国是的，。！？[]1"]
ATTN = GENERATOR_VOCAB.index("[ATTN]")
# [MASK] is no special token of sources.
SOURCE_SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
MOST_SOURCE, MOST_NEW, TARGET_TYPE = 24, 16, 3
SOURCES = {
    "chinese": "今天天气很好。",
    "english": "The quick brown fox jumps",
    "empty": "",
    "mask": "北京是[MASK]国的[MASK]京，去[ATTN]",
    "mixed": "Ok! 我们1去北京, a GOOD 天气?",
    "special": "今天[SEP]天气[CLS]很[UNK]好",
    "long": "今天我们去北京，天气很好。A very long story of the north, 很好很好！我们是中国的。",
    "padding_in_text": "今天[PAD]天气[PAD]很好",
    "unknown": "你说什么？",
}
BATCHES = [["chinese", "english", "empty", "mask"], ["long", "special"], ["mixed", "unknown", "english"]]
BEAMS = [(width, penalty) for width in (1, 3, 5) for penalty in (0.6, 1.0, 1.4)]


class Written(NamedTuple):
    """What is written for a source, up to the first [SEP], and by how much the nearest choice was decided."""

    ids: list[int]
    is_ended: bool
    log_probability: float
    score: float
    gap: float


class Writer:
    """Writes the texts of one source as demo/seq2seq/decode.py of paddle-ernie does."""

    def __init__(self, model: Ernie, source: list[int], padded_to: int = 0):
        self.model = model
        ids = np.array(source + [PAD] * (padded_to - len(source)))
        # Words see padding, and stand behind the tokens that are none.
        self.past = model.layers(model.embed(ids, [0] * len(ids)), model.mask(ids))[1]
        self.begin = int((ids != PAD).sum())

    def step(self, words: list[int], past: Cache) -> tuple[np.ndarray, Cache]:
        """The logarithms of the probabilities of the next word, and a cache with the last one."""
        pair = np.array([words[-1] if words else CLS, ATTN])
        x = replace(self.model, first_position=self.begin + len(words)).embed(pair, [TARGET_TYPE] * 2)
        bias = np.zeros((2, past[0][0].shape[1] + 2))
        bias[0, -1] = -10000.0
        x, new = self.model.layers(x, bias, past)
        logits = self.model.mlm_hidden(x[1]) @ self.model.get("word.weight").T + self.model.get("decoder.bias")
        kept = [tuple(np.concatenate([old, n[:, :1]], axis=1) for old, n in zip(*layer)) for layer in zip(past, new)]
        return np.log(softmax(logits)), kept

    def greedy(self) -> Written:
        words, past, total, gap = [], self.past, 0.0, math.inf
        while len(words) < MOST_NEW:
            probabilities, past = self.step(words, past)
            second, best = np.argsort(probabilities)[-2:]
            gap = min(gap, probabilities[best] - probabilities[second])
            total += probabilities[best]
            if best == SEP:
                return Written(words, True, total, total, gap)
            words = [*words, int(best)]
        return Written(words, False, total, total, gap)

    def beam(self, width: int, penalty: float) -> Written:
        """Of each beam: words, the logarithm of their probability, whether it is finished, and its cache."""

        def score(total: float, length: int) -> float:
            return total / ((5 + length) / 6) ** penalty

        beams, gap = [([], 0.0, False, self.past)], math.inf
        for _ in range(MOST_NEW):
            if all(is_finished for _, _, is_finished, _ in beams):
                break
            found = []
            for words, total, is_finished, past in beams:
                if is_finished:
                    found.append((score(total, len(words)), (words, total, True, past)))
                    continue
                probabilities, grown = self.step(words, past)
                for word, p in enumerate(probabilities):
                    longer = words if word == SEP else [*words, word]
                    found.append((score(total + p, len(longer)), (longer, total + p, word == SEP, grown)))
            found.sort(key=lambda entry: -entry[0])
            gap = min(gap, found[width - 1][0] - found[width][0]) if len(found) > width else gap
            beams = [beam for _, beam in found[:width]]
        scores = [score(total, len(words)) for words, total, _, _ in beams]
        gap = min(gap, scores[0] - scores[1]) if width > 1 else gap
        words, total, is_finished, _ = beams[0]
        return Written(words, is_finished, total, scores[0], gap)


def written_text(ids: list[int]) -> str:
    tokens = ["" if i in (PAD, UNK) else GENERATOR_VOCAB[i] for i in ids]
    return "".join(t[2:] if t.startswith("##") else re.sub("^([a-zA-Z0-9]*)$", r" \1", t) for t in tokens).strip()


def generator_weights(sizes: Sizes) -> dict[str, np.ndarray]:
    """So wide, and of such a seed, that words vary, that some texts end in time, and that few are near a tie."""
    weights = random_weights("paddle_ernie_generator 46", sizes, mlm=sizes.hidden)
    for key, factor in {"word.weight": 12.0, "position.weight": 12.0, "type.weight": 8.0, "mlm_ln.bias": 0.3}.items():
        weights[key] *= np.float32(factor)
    bias = weights["decoder.bias"]
    bias[[PAD, CLS, MASK, ATTN]] -= np.float32(1.5)
    bias[SEP] += np.float32(1)
    # Rows without a token: the reference fails when it writes one.
    bias[len(GENERATOR_VOCAB):] -= np.float32(4)
    return weights


def expect_generation(model: Ernie) -> str:
    """Leaves out what a rounding could decide; those of padding, which see everything by -10000, are larger."""
    sources = {}
    for name, text in SOURCES.items():
        sources[name] = [CLS, *tokenize(text, GENERATOR_VOCAB, SOURCE_SPECIAL)[:MOST_SOURCE], SEP]

    def runs(writer: Writer, least_gap: float) -> list[dict]:
        all_runs = [({"method": "greedy"}, writer.greedy())]
        all_runs += [({"method": "beam", "beam_width": width, "length_penalty": penalty}, writer.beam(width, penalty))
                     for width, penalty in BEAMS]
        return [
            how | {"ids": run.ids, "is_ended": run.is_ended, "text": written_text(run.ids), "gap": round(run.gap, 6),
                   "log_probability": round(run.log_probability, 6), "score": round(run.score, 6)}
            for how, run in all_runs if run.gap >= least_gap
        ]

    inputs = [
        {"id": name, "text": SOURCES[name], "input_ids": ids,
         "results": runs(Writer(model, ids), 1e-2 if PAD in ids else 1e-3)}
        for name, ids in sources.items()
    ]
    batches = []
    for members in BATCHES:
        longest = max(len(sources[name]) for name in members)
        rows = [runs(Writer(model, sources[name], longest), 1e-2) for name in members]
        batches.append({"members": members, "results": rows})
    about = {
        "case": "paddle_ernie_generator", "task": "generation",
        "reference": {"library": "float64 numpy in scripts/make_checkpoints.py"},
        "options": {"max_encode_len": MOST_SOURCE, "max_decode_len": MOST_NEW, "tgt_type_id": TARGET_TYPE},
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in about.items()]

    def block(result: dict, indent: str) -> str:
        return indent + json.dumps(result, ensure_ascii=False)

    def source(entry: dict) -> str:
        head = json.dumps({k: v for k, v in entry.items() if k != "results"}, ensure_ascii=False)[:-1]
        return f'  {head}, "results": [\n' + ",\n".join(block(r, "   ") for r in entry["results"]) + "\n  ]}"

    def batch(entry: dict) -> str:
        rows = ",\n".join("   [\n" + ",\n".join(block(r, "    ") for r in row) + "\n   ]" for row in entry["results"])
        return f'  {{"members": {json.dumps(entry["members"])}, "results": [\n{rows}\n  ]}}'

    return ("{\n" + "".join(lines) + ' "inputs": [\n' + ",\n".join(map(source, inputs))
            + '\n ],\n "batches": [\n' + ",\n".join(map(batch, batches)) + "\n ]\n}\n")


def generators(root: Path) -> None:
    sizes = Sizes(hidden=30, layers=2, heads=3, ffn=44, vocab=len(GENERATOR_VOCAB) + 2, positions=96, types=4)
    weights = generator_weights(sizes)
    seed = root / "paddle_ernie_generator"
    write(seed / "ernie_config.json", paddle_ernie_config(sizes, "gelu"))
    write(seed / "vocab.txt", vocabulary(GENERATOR_VOCAB))
    write(seed / "saved_weights.pdparams", seed_pickle(weights))
    write(seed / "expect_generation.json", expect_generation(seed_model(weights, sizes, gelu)))

    paddlenlp = root / "paddlenlp_generator"
    base = paddle_ernie_config(sizes, "gelu")
    write(paddlenlp / "model_config.json", {"init_args": [base], "init_class": "ErnieForGeneration"})
    write(paddlenlp / "model_state.pdparams", pdparams(stored(weights, PADDLE_ERNIE)))
    tokenizer_files(paddlenlp, "ErnieTokenizer", GENERATOR_VOCAB)


# Hugging Face.


def hf_model(weights: dict[str, np.ndarray], sizes: Sizes, epsilon: float = 1e-12) -> Ernie:
    return Ernie(weights, sizes.heads, gelu, epsilon, no_mask)


def hf_tensors(weights: dict[str, np.ndarray], names: Names) -> dict[str, np.ndarray]:
    return stored(transposed(weights), names)


def hf_encoders(root: Path) -> None:
    with_task = replace(TWO_LAYERS, types=4, tasks=3)
    variants = [
        ("hf_encoder_safetensors", "", with_task, 1e-5, hf_config("ErnieModel", with_task, layer_norm_eps=1e-5)),
        ("hf_bert_prefix", "bert.", Sizes(), 1e-12, hf_config("BertModel", Sizes(), model_type="bert")),
    ]
    for name, prefix, sizes, epsilon, config in variants:
        case = Case(root / name, "hf", "encoder")
        weights = random_weights(name, sizes, pooler=sizes.hidden)
        write(case.folder / "config.json", config)
        write(case.folder / "model.safetensors", safetensors(hf_tensors(weights, hf_names(prefix)), {"format": "pt"}))
        tokenizer_files(case.folder, "BertTokenizer")
        case.run(hf_model(weights, sizes, epsilon), encoder("last_hidden_state", "pooler_output"), SINGLES,
                 attention_mask=ones)
        case.finish()


def hf_mlm_torch_zip(root: Path) -> None:
    case = Case(root / "hf_mlm_torch_zip", "hf", "masked_lm")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, mlm=sizes.hidden)
    tensors = hf_tensors(weights, hf_names("ernie."))
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): a
        for name, a in tensors.items()
    }
    tensors["cls.predictions.decoder.weight"] = tensors["ernie.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
    tensors["ernie.embeddings.position_ids"] = np.arange(sizes.positions, dtype=np.int64)[np.newaxis]
    write(case.folder / "config.json", hf_config("ErnieForMaskedLM", sizes))
    tokenizer_files(case.folder, "BertTokenizer")
    torch_zip(case.folder / "pytorch_model.bin", tensors)
    case.run(hf_model(weights, sizes), word_logits("logits"), FEW, attention_mask=ones)
    case.finish()


def hf_seqcls_torch_legacy(root: Path) -> None:
    case = Case(root / "hf_seqcls_torch_legacy", "hf", "sequence_classification")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, classifier=3)
    tensors = hf_tensors(weights, hf_names("ernie."))
    # The [in, out] array seen as [out, in]: strides (1, out).
    tensors["ernie.encoder.layer.0.intermediate.dense.weight"] = weights["ffn_in.0.weight"].T
    labels = {"id2label": {"0": "差", "1": "中", "2": "好"}, "label2id": {"差": 0, "中": 1, "好": 2}}
    write(case.folder / "config.json", hf_config("ErnieForSequenceClassification", sizes, **labels))
    write(case.folder / "pytorch_model.bin", torch_legacy(tensors))
    tokenizer_files(case.folder, "BertTokenizer")
    case.run(hf_model(weights, sizes), sequence_logits, SINGLES, attention_mask=ones)
    case.finish()


def hf_tokcls_sharded(root: Path) -> None:
    case = Case(root / "hf_tokcls_sharded", "hf", "token_classification")
    sizes = Sizes(layers=2)
    weights = random_weights(case.folder.name, sizes, classifier=5)
    tensors = hf_tensors(weights, hf_names("ernie."))
    order = list(tensors)
    shards = {"model-00001-of-00002.safetensors": order[:20], "model-00002-of-00002.safetensors": order[20:]}
    for shard, names in shards.items():
        write(case.folder / shard, safetensors({name: tensors[name] for name in names}, {"format": "pt"}))
    write(case.folder / "model.safetensors.index.json", {
        "metadata": {"total_size": sum(a.nbytes for a in tensors.values())},
        "weight_map": {name: shard for shard, names in shards.items() for name in sorted(names)},
    })
    write(case.folder / "config.json", hf_config("ErnieForTokenClassification", sizes))
    tokenizer_files(case.folder, "BertTokenizer")
    case.run(hf_model(weights, sizes), token_logits, SINGLES, attention_mask=ones)
    case.finish()


def hf_half_precision(root: Path) -> None:
    """Stored as halves, computed from their float32 values."""
    sizes = Sizes()
    case = Case(root / "hf_qa_bf16", "hf", "question_answering")
    halves = {k: bf16(a) for k, a in random_weights(case.folder.name, sizes, classifier=2).items()}
    write(case.folder / "config.json", hf_config("ErnieForQuestionAnswering", sizes, dtype="bfloat16"))
    write(case.folder / "model.safetensors",
          safetensors(hf_tensors(halves, hf_names("ernie.", "qa_outputs")), {"format": "pt"}))
    tokenizer_files(case.folder, "BertTokenizer")
    case.run(hf_model({k: widened(a) for k, a in halves.items()}, sizes), span_logits, PAIRS, attention_mask=ones)
    case.finish()

    case = Case(root / "hf_f16", "hf", "encoder")
    halves = {k: a.astype(np.float16) for k, a in random_weights(case.folder.name, sizes, pooler=sizes.hidden).items()}
    write(case.folder / "config.json", hf_config("ErnieModel", sizes, dtype="float16"))
    write(case.folder / "model.safetensors", safetensors(hf_tensors(halves, hf_names("")), {"format": "pt"}))
    tokenizer_files(case.folder, "BertTokenizer")
    case.run(hf_model(halves, sizes), encoder("last_hidden_state", "pooler_output"), SINGLES, attention_mask=ones)
    case.finish()


def hf_multiple_choice(root: Path) -> None:
    case = Case(root / "hf_multiple_choice", "hf", "multiple_choice")
    sizes = Sizes()
    weights = random_weights(case.folder.name, sizes, pooler=sizes.hidden, classifier=1)
    write(case.folder / "config.json", hf_config("ErnieForMultipleChoice", sizes))
    tensors = hf_tensors(weights, hf_names("ernie."))
    write(case.folder / "model.safetensors", safetensors(tensors, {"format": "pt"}))
    tokenizer_files(case.folder, "BertTokenizer")
    case.run(hf_model(weights, sizes), sequence_logits, PAIRS, attention_mask=ones)
    case.finish()


# Checkpoints that must be refused.


def refused(root: Path) -> None:
    root = root / "refused"
    tokens = VOCAB[:12]
    sizes = Sizes(hidden=4, ffn=6, vocab=len(tokens), positions=8)
    weights = random_weights("refused", sizes, pooler=sizes.hidden)
    seed = stored(weights, PADDLE_ERNIE)
    torch = hf_tensors(weights, hf_names(""))
    cases = []

    def refuse(name: str, family: str, files: dict, why: str, *message_has: str, task: str = "encoder") -> None:
        for file, content in {"vocab.txt": vocabulary(tokens), **files}.items():
            write(root / name / file, content)
        cases.append({"folder": name, "format": family, "task": task, "why": why, "message_has": message_has})

    def refuse_seed(name: str, why: str, *message_has: str, tensors: dict | bytes = seed, task: str = "encoder",
                    config: dict | None = None, vocab: str = vocabulary(tokens)) -> None:
        pickled = tensors if isinstance(tensors, bytes) else pdparams(tensors)
        files = {"ernie_config.json": paddle_ernie_config(sizes, "relu") | (config or {}), "vocab.txt": vocab,
                 "saved_weights.pdparams": pickled}
        refuse(name, "paddle-ernie", files, why, *message_has, task=task)

    def without(name: str) -> dict:
        return {key: array for key, array in seed.items() if key != name}

    bias = np.zeros((32, sizes.heads), np.float32)
    gram = {f"ernie_gram.{name}": array for name, array in seed.items()} | {"ernie_gram.rel_pos_bias.weight": bias}
    refuse_seed("gram", "ERNIE-Gram of paddle-ernie adds a relative position bias", "ernie_gram", tensors=gram)
    refuse("ernie_doc", "paddlenlp", {
        "config.json": paddlenlp_config("ErnieDocModel", sizes) | {"model_type": "ernie_doc", "memory_len": 8},
        "model_state.pdparams": paddlenlp_pickle(weights, "ernie_doc."),
    }, "ERNIE-Doc is another architecture", "ernie_doc")
    missing = "encoder_stack.block.0.attn.k.bias"
    refuse_seed("missing_tensor", f"{missing} is missing", missing, tensors=without(missing))
    inner = "encoder_stack.block.0.ffn.i.weight"
    refuse_seed("wrong_shape", f"{inner} is transposed", inner,
                tensors=seed | {inner: np.ascontiguousarray(seed[inner].T)})
    outer = "encoder_stack.block.0.ffn.o.weight"
    spoilt = seed[outer].copy()
    spoilt[1, 2] = np.nan
    refuse_seed("nan_weight", f"a NaN in {outer}", outer, tensors=seed | {outer: spoilt})
    refuse_seed("unknown_activation", "no such activation", "swishx", config={"hidden_act": "swishx"})
    refuse_seed("heads_not_dividing", "a hidden size of 4 does not divide into 3 heads", "heads",
                config={"num_attention_heads": 3})
    refuse_seed("vocab_too_long", "more tokens than rows of the word embedding", "vocab.txt",
                vocab=vocabulary(VOCAB[:15]))
    attack = {"word_emb.weight": Call(Global("posix", "system"), ("touch pwned_marker_file",))}
    refuse_seed("pickle_os_system", "the pickle calls os.system", "posix.system", tensors=Pickle(4).dump(attack))
    # The file outside is a good one: only its place is wrong.
    write(root / "outside.safetensors", safetensors(torch, {"format": "pt"}))
    refuse("index_traversal", "hf", {
        "config.json": hf_config("ErnieModel", sizes),
        "model.safetensors.index.json": {"metadata": {}, "weight_map": dict.fromkeys(torch, "../outside.safetensors")},
    }, "a shard outside the folder", "../outside.safetensors")
    refuse("truncated_safetensors", "hf", {
        "config.json": hf_config("ErnieModel", sizes), "model.safetensors": safetensors(torch, {"format": "pt"})[:-100],
    }, "the file is 100 bytes short", "model.safetensors")
    refuse_seed("no_classifier", "a classifier is asked for and there is none", "classifier",
                task="sequence_classification")
    words = random_weights("untied", sizes, pooler=sizes.hidden, mlm=sizes.hidden)
    untied = stored(words, paddlenlp_names("ernie.")) | {"cls.predictions.decoder.weight": words["word.weight"] + 1}
    refuse("untied_words", "paddlenlp", {
        "config.json": paddlenlp_config("ErnieForMaskedLM", sizes), "model_state.pdparams": pdparams(untied),
    }, "a word head that is not the word embedding", "cls.predictions.decoder.weight", task="masked_lm")
    lines = ",\n".join(" " + json.dumps(case, ensure_ascii=False) for case in cases)
    write(root / "expect.json", f"[\n{lines}\n]\n")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = Path(sys.argv[1])
    for make in (
        paddle_ernie_encoders, paddle_ernie_finetuned, paddle_ernie_heads, paddle_ernie_pretraining, fluid_params,
        paddle_inference, paddlenlp_encoders, paddlenlp_seqcls, paddlenlp_tokcls, paddlenlp_spans, paddlenlp_mlm,
        ernie_m, rocketqa, generators, hf_encoders, hf_mlm_torch_zip, hf_seqcls_torch_legacy, hf_tokcls_sharded,
        hf_half_precision, hf_multiple_choice, refused,
    ):
        make(root)


if __name__ == "__main__":
    main()
