#!/usr/bin/env python3
"""Times generation with ERNIE-GEN in Paddle: the decode loop of paddle-ernie, written with Paddle's operators.

    generate_paddle.py --make MODEL              writes a random checkpoint of base size (12 layers, 768 hidden)
    generate_paddle.py MODEL --source ids.json   generates and prints a JSON line for each setting

The source is encoded once (without logits, which nobody needs there). Each step feeds the previous token and [ATTN],
computes the logits of both rows, and appends the previous token's keys and values to the cache. Beams are copies of the
source, reordered after each step. Needs paddlepaddle 2.6.2.

ids.json holds the token ids of a source with its [CLS] and [SEP], or a list of such sources of one length, which are
generated together. A line holds `beams` (0: greedy), `seconds` of each round, and `ids`, up to and with [SEP].
"""

import argparse
import json
import os
import time
from pathlib import Path

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[ATTN]", "[UNK]"]
BASE = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "max_position_embeddings": 513,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "type_vocab_size": 4,
    "vocab_size": 18000,
}


def make(folder, seed=7):
    """A checkpoint of random weights that never generates [SEP], with a vocabulary of made-up tokens and a source."""
    hidden, inner = BASE["hidden_size"], 4 * BASE["hidden_size"]
    norms, linears = ["ln", "mlm_ln"], {"mlm": (hidden, hidden)}
    for i in range(BASE["num_hidden_layers"]):
        block = f"encoder_stack.block.{i}"
        norms += [f"{block}.ln1", f"{block}.ln2"]
        linears |= {f"{block}.attn.{part}": (hidden, hidden) for part in "qkvo"}
        linears |= {f"{block}.ffn.i": (hidden, inner), f"{block}.ffn.o": (inner, hidden)}
    tables = {"word_emb": "vocab_size", "pos_emb": "max_position_embeddings", "sent_emb": "type_vocab_size"}
    paddle.seed(seed)
    random = lambda *shape: paddle.randn(shape).clip(-2, 2) * BASE["initializer_range"]
    weights = {f"{name}.weight": random(BASE[size], hidden) for name, size in tables.items()}
    for name, shape in linears.items():
        weights |= {f"{name}.weight": random(*shape), f"{name}.bias": paddle.zeros([shape[1]])}
    for name in norms:
        weights |= {f"{name}.weight": paddle.ones([hidden]), f"{name}.bias": paddle.zeros([hidden])}
    is_sep = paddle.arange(BASE["vocab_size"]) == SPECIAL.index("[SEP]")
    weights["mlm_bias"] = is_sep.astype("float32") * -1e4

    folder.mkdir(parents=True, exist_ok=True)
    paddle.save(weights, str(folder / "saved_weights.pdparams"))
    (folder / "ernie_config.json").write_text(json.dumps(BASE, indent=2) + "\n")
    tokens = SPECIAL + [f"t{i}" for i in range(len(SPECIAL), BASE["vocab_size"])]
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in tokens))
    source = paddle.randint(len(SPECIAL), BASE["vocab_size"], [126]).tolist()
    (folder / "source.json").write_text(json.dumps([tokens.index("[CLS]"), *source, tokens.index("[SEP]")]) + "\n")


class Model:
    """Weights by name and the forward pass."""

    def __init__(self, folder):
        self.config = json.loads((folder / "ernie_config.json").read_text())
        stored = paddle.load(str(folder / "saved_weights.pdparams"))
        self.weights = {k: paddle.to_tensor(v) for k, v in stored.items() if k != "StructuredToParameterName@@"}
        self.heads = self.config["num_attention_heads"]
        self.layers = self.config["num_hidden_layers"]
        self.activation = getattr(F, self.config["hidden_act"])

    def linear(self, name, x):
        return F.linear(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-5)

    def embed(self, ids, kinds, positions):
        table = lambda name, at: F.embedding(at, self.weights[name + ".weight"])
        return self.norm("ln", table("word_emb", ids) + table("pos_emb", positions) + table("sent_emb", kinds))

    def attend(self, name, x, bias, cache):
        """The attention's output, and keys and values of `x` alone."""
        query, key, value = (self.linear(f"{name}.{part}", x) for part in "qkv")
        own = key, value
        if cache is not None:
            key, value = (paddle.concat([old, new], 1) for old, new in zip(cache, own))
        split = lambda t: t.reshape([0, 0, self.heads, -1]).transpose([0, 2, 1, 3])
        query, key, value = split(query), split(key), split(value)
        scores = paddle.matmul(query.scale(query.shape[-1] ** -0.5), key, transpose_y=True) + bias
        mixed = paddle.matmul(F.softmax(scores), value).transpose([0, 2, 1, 3])
        return self.linear(f"{name}.o", mixed.reshape([0, 0, -1])), own

    def forward(self, ids, kinds, positions, mask, cache=None):
        """Hidden states, and the keys and values of `ids` in each layer. `mask` is 1 where a row sees a column."""
        bias = ((1.0 - mask) * -10000.0).unsqueeze(1)
        x, own = self.embed(ids, kinds, positions), []
        for i in range(self.layers):
            name = f"encoder_stack.block.{i}"
            mixed, pair = self.attend(f"{name}.attn", x, bias, cache[i] if cache else None)
            x = self.norm(f"{name}.ln1", mixed + x)
            inner = self.activation(self.linear(f"{name}.ffn.i", x))
            x = self.norm(f"{name}.ln2", self.linear(f"{name}.ffn.o", inner) + x)
            own.append(pair)
        return x, own

    def logits(self, x):
        x = self.norm("mlm_ln", self.activation(self.linear("mlm", x)))
        return paddle.matmul(x, self.weights["word_emb.weight"], transpose_y=True) + self.weights["mlm_bias"]


class Loop:
    """What greedy and beam search share: the encoded source, and one step after another."""

    def __init__(self, model, source, copies, special, kind):
        self.model, self.kind = model, kind
        self.cls, self.sep, self.attn = special
        real = (source != 0).astype("float32")
        positions = paddle.arange(source.shape[1]).unsqueeze(0)
        mask = paddle.matmul(real.unsqueeze(2), real.unsqueeze(1))
        _, cache = model.forward(source, paddle.zeros_like(source), positions, mask)
        repeat = lambda t: paddle.repeat_interleave(t, copies, 0) if copies > 1 else t
        self.cache = [(repeat(key), repeat(value)) for key, value in cache]
        self.length = repeat((source != 0).astype("int64").sum(1, keepdim=True))
        self.rows, self.seen, self.done = self.length.shape[0], source.shape[1], 0

    def step(self, previous):
        """Logits of the next token. Call `keep` before the next step."""
        ids = paddle.stack([previous, paddle.full_like(previous, self.attn)], 1)
        positions = self.length + paddle.to_tensor([[self.done, self.done + 1]])
        mask = paddle.ones([self.rows, 2, self.seen + 2])
        mask[:, 0, -1] = 0.0
        x, self.own = self.model.forward(ids, paddle.full_like(ids, self.kind), positions, mask, self.cache)
        return self.model.logits(x)[:, 1]

    def keep(self, order=None):
        """Appends what the previous token left to the cache and reorders the rows."""
        joined = lambda old, new: paddle.concat([old, new[:, :1]], 1)
        moved = lambda t: t if order is None else paddle.gather(t, order)
        self.cache = [
            tuple(moved(joined(old, new)) for old, new in zip(*pairs)) for pairs in zip(self.cache, self.own)
        ]
        self.seen, self.done = self.seen + 1, self.done + 1


def greedy(model, source, special, new_tokens, kind):
    loop, out = Loop(model, source, 1, special, kind), []
    previous, stopped = paddle.full([loop.rows], loop.cls, "int64"), False
    for _ in range(new_tokens):
        previous = loop.step(previous).argmax(-1)
        loop.keep()
        out.append(previous.numpy())
        stopped = stopped | (out[-1] == loop.sep)
        if stopped.all():
            break
    return [list(map(int, ids)) for ids in zip(*out)]


def beam_search(model, source, special, new_tokens, kind, beams, penalty):
    """The best beam of each source. The score of a beam is its log probability over ((5 + length) / 6) ** penalty;
    [SEP] does not count as length. A beam that ended goes on with [SEP], at no cost."""
    loop, sources = Loop(model, source, beams, special, kind), source.shape[0]
    vocab = model.config["vocab_size"]
    is_sep = (paddle.arange(vocab) == loop.sep).astype("float32")
    total = paddle.zeros([loop.rows, 1])
    length, ended = paddle.zeros([loop.rows, 1]), paddle.zeros([loop.rows, 1])
    first_row = paddle.arange(sources).unsqueeze(1) * beams
    previous, tokens, parents = paddle.full([loop.rows], loop.cls, "int64"), [], []
    for step in range(new_tokens):
        log = paddle.log(F.softmax(loop.step(previous)))
        log = ended * (1.0 - is_sep) * -9999.0 + (1.0 - ended) * log
        totals = (total + log).reshape([sources, -1])
        lengths = (length + (1.0 - ended) * (1.0 - is_sep)).reshape([sources, -1])
        scores = totals / paddle.pow((5.0 + lengths) / 6.0, penalty)
        # All beams are alike before the first step.
        _, best = paddle.topk(scores[:, :vocab] if step == 0 else scores, beams)
        parent, token = best // vocab, best % vocab
        order = (first_row + parent).flatten()
        total = paddle.take_along_axis(totals, best, 1).reshape([-1, 1])
        length = paddle.take_along_axis(lengths, best, 1).reshape([-1, 1])
        previous = token.flatten()
        ended = paddle.maximum(paddle.gather(ended, order), (previous == loop.sep).astype("float32").unsqueeze(1))
        loop.keep(order)
        tokens.append(token)
        parents.append(parent)
        if bool(ended.all()):
            break
    return F.gather_tree(paddle.stack(tokens), paddle.stack(parents))[:, :, 0].transpose([1, 0]).tolist()


def generate(model, source, special, beams, args):
    with paddle.no_grad():
        if beams == 0:
            out = greedy(model, source, special, args.new_tokens, args.target_type)
        else:
            out = beam_search(model, source, special, args.new_tokens, args.target_type, beams, args.length_penalty)
    sep = special[1]
    return [ids[:ids.index(sep) + 1] if sep in ids else ids for ids in out]


def special_ids(args):
    if args.special:
        return [int(i) for i in args.special.split(",")]
    lines = (args.model / "vocab.txt").read_text(encoding="utf-8").split("\n")
    tokens = [line.split("\t")[0] for line in lines]
    return [tokens.index(token) for token in ("[CLS]", "[SEP]", "[ATTN]")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path, nargs="?", help="folder of a paddle-ernie checkpoint")
    p.add_argument("--make", type=Path, metavar="MODEL", help="write a random checkpoint, with a source.json, and stop")
    p.add_argument("--source", type=Path, help="JSON file of token ids")
    p.add_argument("--new-tokens", type=int, default=64)
    p.add_argument("--beams", default="0,5", help="settings, with commas between them; 0: greedy")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--length-penalty", type=float, default=1.0)
    p.add_argument("--target-type", type=int, default=3)
    p.add_argument("--special", help="ids of [CLS], [SEP] and [ATTN], instead of those in vocab.txt: 1,2,4")
    args = p.parse_args()
    if not args.make and not (args.model and args.source):
        p.error("a model and --source are needed, or --make")

    global paddle, F
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import paddle
    from paddle.nn import functional as F

    if args.make:
        make(args.make)
        return
    model, special = Model(args.model), special_ids(args)
    source = json.loads(args.source.read_text())
    is_batch = isinstance(source[0], list)
    source = paddle.to_tensor(source if is_batch else [source])
    for beams in map(int, args.beams.split(",")):
        seconds = []
        for _ in range(args.repeat):
            begin = time.perf_counter()
            ids = generate(model, source, special, beams, args)
            seconds.append(round(time.perf_counter() - begin, 4))
        print(json.dumps({"beams": beams, "seconds": seconds, "ids": ids if is_batch else ids[0]}), flush=True)


if __name__ == "__main__":
    main()
