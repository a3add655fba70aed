#!/usr/bin/env python3
"""Trains small paddle-ernie checkpoints with the reference implementation.

  ner     named entities   (msra-ner, demo/finetune_ner.py)
  pairs   same question?   (lcqmc, demo/finetune_classifier.py with two texts)
  mrc     answer extraction (cmrc2018, demo/finetune_mrc.py)

Model, tokenizer, loss and learning-rate schedule are those of PaddlePaddle/ERNIE (commit 3b9d92f), imported from
`--ernie`. They need one mend on Paddle 2.6.2, made at run time: paddle.load does not take a pathlib.Path.
"""

import argparse
import json
import os
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import paddle as P

HERE = Path(__file__).resolve().parent
LABELS = {"ner": ["B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "O"], "pairs": ["0", "1"]}
TRAIN_SHARE = {"ner": 0.6, "pairs": 0.7, "mrc": 0.7}
CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "relu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 128,
    "initializer_range": 0.05,
    "max_position_embeddings": 512,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
}


# ---------------------------------------------------------------- reference code


def import_reference(folder):
    """Makes `ernie` and `demo` importable and mends paddle.load."""
    sys.path.insert(0, str(folder))
    load = P.load
    P.load = lambda path, *args, **kwargs: load(str(path), *args, **kwargs)


def open_model(task, folder):
    """The trained model of a checkpoint folder, as the demos open it."""
    from ernie import modeling_ernie as m

    if task == "ner":
        return m.ErnieModelForTokenClassification.from_pretrained(folder, num_labels=7, name="", has_pooler=False)
    if task == "pairs":
        return m.ErnieModelForSequenceClassification.from_pretrained(folder, num_labels=2, name="")
    return m.ErnieModelForQuestionAnswering.from_pretrained(folder, name="")


# ---------------------------------------------------------------- texts


def lines(path):
    """Lines of a file, cut at line feeds only."""
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]


def ner_rows(data):
    """(line number, text, tags, held back) of msra-ner/dev.tsv; pieces and tags are joined by 0x02."""
    rows = [line.split("\t") for line in lines(data / "msra-ner/dev.tsv")[1:]]
    return [(i + 2, t, tags, i >= TRAIN_SHARE["ner"] * len(rows)) for i, (t, tags) in enumerate(rows)]


def pair_rows(data):
    """(line number, text, pair, label, held back) of lcqmc/dev.txt."""
    rows = [line.split("\t") for line in lines(data / "lcqmc/dev.txt")]
    return [(i + 1, a, b, int(y), i >= TRAIN_SHARE["pairs"] * len(rows)) for i, (a, b, y) in enumerate(rows)]


def paragraphs(path):
    return [p for entry in json.loads(path.read_text(encoding="utf-8"))["data"] for p in entry["paragraphs"]]


def mrc_parts(data):
    """Paragraphs of cmrc2018/dev.json: those trained on and those held back."""
    every = paragraphs(data / "cmrc2018/dev.json")
    cut = int(TRAIN_SHARE["mrc"] * len(every))
    return every[:cut], every[cut:]


def train_texts(data):
    """What the models are trained on: NER (text, tags), pairs (text, pair, label), MRC paragraphs."""
    kit = data / "ernie-kit"
    rows = ner_rows(data)
    known = {text for _, text, _, _ in rows}
    ner = [(text, tags) for _, text, tags, held in rows if not held]
    more = [line.split("\t")[1:] for line in lines(kit / "sequence_labeling/msra_ner.train.tsv")]
    ner += [(text, tags) for text, tags in more if text not in known]
    rows = pair_rows(data)
    held_back = {t for _, a, b, _, held in rows if held for t in (a, b)}
    pairs = [(a, b, y) for _, a, b, y, held in rows if not held]
    more = [line.split("\t") for line in lines(kit / "text_matching/pointwise.train.txt")]
    pairs += [(a, b, int(y)) for a, b, y in more]
    pairs = [(a, b, y) for a, b, y in pairs if a not in held_back and b not in held_back]
    return ner, pairs, mrc_parts(data)[0] + paragraphs(data / "drcd/dev.json")


def write_vocab(data, vocab, out):
    """Cuts ERNIE 1.0's vocabulary to special tokens, ASCII pieces and tokens that occur twice in the training texts."""
    from ernie.tokenizing_ernie import ErnieTokenizer

    whole = ErnieTokenizer.from_pretrained(vocab)
    ner, pairs, passages = train_texts(data)
    texts = [t.replace("\2", " ") for t, _ in ner] + [t for a, b, _ in pairs for t in (a, b)]
    texts += [p["context"] for p in passages] + [q["question"] for p in passages for q in p["qas"]]
    count = Counter(token for text in texts for token in whole.tokenize(text))
    special = {"[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"}
    kept = [t for t in whole.vocab if t in special or count[t] > 1 or (t.isascii() and len(t) in (1, 3))]
    text = "".join(f"{token}\t{i}\n" for i, token in enumerate(kept))
    (out / "vocab.txt").write_text(text, encoding="utf-8")
    return len(kept)


# ---------------------------------------------------------------- examples


def ner_examples(tokenizer, data, seqlen):
    """tokenizer_func and before() of finetune_ner.py."""
    ids = {label: i for i, label in enumerate(LABELS["ner"])}
    for text, tags in train_texts(data)[0]:
        label = np.array([ids[tag] for tag in tags.split("\2")])
        tokens, piece = ner_pieces(tokenizer, text)
        seg, _ = tokenizer.truncate(np.array(tokenizer.convert_tokens_to_ids(tokens)), [], seqlen)
        aligned, _ = tokenizer.truncate(label[np.array(piece)], [], seqlen)
        ids_, types = tokenizer.build_for_ernie(seg)
        yield ids_, types, np.concatenate([[0], aligned, [0]])


def ner_pieces(tokenizer, text):
    """Tokens of a text in pieces and the piece that each token comes from."""
    parts = [(token, i) for i, part in enumerate(text.split("\2")) for token in tokenizer.tokenize(part)]
    return [t for t, _ in parts], [i for _, i in parts]


def pair_examples(tokenizer, data, seqlen):
    """Each pair in both orders."""
    for a, b, label in train_texts(data)[1]:
        for x, y in ((a, b), (b, a)):
            yield (*encode_pair(tokenizer, x, y, seqlen), np.array(label))


def encode_pair(tokenizer, a, b, seqlen):
    a, b = (np.array(tokenizer.convert_tokens_to_ids(tokenizer.tokenize(t)), dtype=np.int64) for t in (a, b))
    return tokenizer.build_for_ernie(*tokenizer.truncate(a, b, seqlen=seqlen))


def mrc_examples(tokenizer, data):
    """(question ids, passage ids, first and last answer token) with the first answer of each question."""
    for passage in train_texts(data)[2]:
        context = passage["context"]
        for qa in passage["qas"]:
            begin, text = qa["answers"][0]["answer_start"], qa["answers"][0]["text"]
            cuts = context[:begin], context[begin:begin + len(text)], context[begin + len(text):]
            parts = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(t)) for t in cuts]
            if cuts[1] == text and parts[1]:
                first = len(parts[0])
                query = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(qa["question"]))[:64]
                yield query, sum(parts, []), first, first + len(parts[1]) - 1


def mrc_crop(example, tokenizer, rng, seqlen, window):
    """A random window around the answer, at a random place in the sequence."""
    query, doc, first, last = example
    room = min(window - len(query) - 3, len(doc))
    begin = rng.randint(max(0, last - room + 1), min(first, len(doc) - room)) if last - first < room else first
    ids, types = tokenizer.build_for_ernie(np.array(query), np.array(doc[begin:begin + room]))
    at, shift = len(query) + 2, rng.randint(0, seqlen - len(ids))
    positions = np.arange(len(ids)) + shift * (types == 1)
    return ids, types, at + first - begin, min(at + last - begin, len(ids) - 2), positions


# ---------------------------------------------------------------- training


def batches(examples, rng, budget):
    """Batches of similar length with at most `budget` tokens each, in random order."""
    order = sorted(examples, key=lambda e: len(e[0]) + rng.uniform(0, 6))
    out, batch = [], []
    for example in order:
        if batch and (len(batch) + 1) * max(len(e[0]) for e in batch + [example]) > budget:
            out.append(batch)
            batch = []
        batch.append(example)
    rng.shuffle(out)
    return out + [batch]


def padded(rows, fill):
    longest = max(map(len, rows))
    return P.to_tensor(np.stack([np.pad(r, (0, longest - len(r)), constant_values=fill) for r in rows]).astype("int64"))


def loss_of(task, model, batch):
    """Loss of a batch: padding as in the demos (labels -100)."""
    fields = list(zip(*batch))
    ids, types = padded(fields[0], 0), padded(fields[1], 0)
    if task == "ner":
        return model(ids, types, labels=padded(fields[2], -100))[0]
    if task == "pairs":
        return model(ids, types, labels=P.to_tensor(np.array(fields[2])))[0]
    start, end = (P.to_tensor(np.array(f, dtype="int64")) for f in fields[2:4])
    return model(ids, types, padded(fields[4], 0), start_pos=start, end_pos=end)[0]


def optimizer(model, steps, args):
    """AdamW, schedule, decay exclusions and clipping of finetune_ner.py."""
    from demo.utils import get_warmup_and_linear_decay

    no_decay = re.compile(r".*layer_norm_scale|.*layer_norm_bias|.*b_0")
    schedule = P.optimizer.lr.LambdaDecay(args.lr, get_warmup_and_linear_decay(steps, steps // 10 + 1))
    return schedule, P.optimizer.AdamW(
        schedule, parameters=model.parameters(), weight_decay=0.01,
        apply_decay_param_fun=lambda name: not no_decay.match(name),
        grad_clip=P.nn.ClipGradByGlobalNorm(1.0))


def initialise(model, folder):
    """Takes over what fits from another checkpoint: everything but the head."""
    weights, own = P.load(folder / "saved_weights.pdparams"), model.state_dict()
    taken = {k: v for k, v in weights.items() if k in own and not k.startswith("classifier")}
    model.set_state_dict({**{k: v for k, v in own.items()}, **taken})
    print(f"{len(taken)} of {len(own)} tensors from {folder}")


def train(args):
    from ernie import modeling_ernie as m
    from ernie.tokenizing_ernie import ErnieTokenizer

    P.seed(args.seed)
    rng, begin = random.Random(args.seed), time.time()
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    config = {**CONFIG, "vocab_size": write_vocab(args.data, args.vocab, out)}
    (out / "ernie_config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer = ErnieTokenizer.from_pretrained(out)
    if args.task == "ner":
        model = m.ErnieModelForTokenClassification({**config, "num_labels": 7, "has_pooler": False}, name="")
        examples = list(ner_examples(tokenizer, args.data, 256))
    elif args.task == "pairs":
        model = m.ErnieModelForSequenceClassification({**config, "num_labels": 2}, name="")
        examples = list(pair_examples(tokenizer, args.data, 128))
    else:
        model = m.ErnieModelForQuestionAnswering(config, name="")
        passages = list(mrc_examples(tokenizer, args.data))
        crop = lambda: [mrc_crop(e, tokenizer, rng, 384, args.window) for e in passages]
        examples = crop()
    if args.init:
        initialise(model, args.init)
    print(f"{config['vocab_size']} tokens, {len(examples)} examples, {time.time() - begin:.0f} s", flush=True)
    plan = len(batches(examples, rng, args.batch_tokens)) * args.epochs
    schedule, opt = optimizer(model, plan, args)
    model.train()
    for epoch in range(args.epochs):
        losses = []
        for batch in batches(crop() if args.task == "mrc" and epoch else examples, rng, args.batch_tokens):
            loss = loss_of(args.task, model, batch)
            loss.backward()
            opt.step()
            model.clear_gradients()
            if schedule.last_epoch + 1 < plan:
                schedule.step()
            losses.append(float(loss))
        print(f"epoch {epoch + 1}/{args.epochs} loss {np.mean(losses):.4f} {time.time() - begin:.0f} s", flush=True)
    P.save(model.state_dict(), str(out / "saved_weights.pdparams"))
    if args.task in LABELS:
        (out / "label_map.json").write_text(json.dumps({t: i for i, t in enumerate(LABELS[args.task])}) + "\n")


def arguments(parser):
    parser.add_argument("task", choices=["ner", "pairs", "mrc"])
    parser.add_argument("--data", type=Path, default=HERE / "../../../shared/data", help="data folder")
    parser.add_argument("--ernie", type=Path, required=True, help="folder of the ERNIE sources")


def prepare(args):
    import_reference(args.ernie)
    args.vocab = args.data / "vocab/ernie-1.0-zh"
    args.data = args.data / "datasets"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments(p)
    p.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    p.add_argument("--init", type=Path, help="checkpoint folder whose encoder the training starts from")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--batch-tokens", type=int, default=1024)
    p.add_argument("--window", type=int, default=192, help="longest training window of mrc")
    p.add_argument("--seed", type=int, default=7)
    args = p.parse_args()
    prepare(args)
    train(args)


if __name__ == "__main__":
    main()
