#!/usr/bin/env python3
"""Trains the demo sentiment model: vocabulary, teacher, warm-up, fine-tuning, export.

Stages (each one reads what the stage before left in the work folder):

  prepare    reads the texts, builds the vocabulary, fits the n-gram teacher
  warmup     masked-language-model warm-up joined with distillation of the teacher
  finetune   supervised training on the labelled reviews
  export     writes the checkpoint folder and the ONNX graph (see export.py)
  evaluate   accuracy of the exported graph on dev.tsv (and test.tsv with --test)
"""

import argparse
import csv
import math
import pickle
import random
import re
import time
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).resolve().parent
SPECIALS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
PAD, CLS, SEP, MASK, UNK = range(5)
HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 192, 3, 6, 768, 512
POSITION_DIMS = HIDDEN // HEADS
CLAUSE_END = re.compile(r"(?<=[,.!?;，。！？；、…\s])")
# Offset of the private code points that stand for token ids in teacher strings.
ID_BASE = 0x20000


# ---------------------------------------------------------------- texts


def read_tsv(path):
    """Rows of a `label<TAB>text_a` file as (label, text)."""
    lines = path.read_text(encoding="utf-8").split("\n")[1:]
    rows = (line.split("\t") for line in lines if line)
    return [(int(label), text) for label, text in rows]


def text_key(text):
    """Comparison key: letters and digits only, so spacing and punctuation do not count."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in folded if c.isalnum()) or re.sub(r"\s+", "", text)


def held_out_keys(data):
    """Keys of every text of dev.tsv and, where the file is there, test.tsv."""
    files = [data / "chnsenticorp" / name for name in ("dev.tsv", "test.tsv")]
    return {text_key(t) for f in files if f.exists() for _, t in read_tsv(f)}


def labelled_reviews(data):
    """Distinct reviews of train.tsv without contradictory labels.

    The split repeats itself: 342 of its 1,200 dev rows stand in train.tsv as well. train.tsv is used as it is;
    `evaluate` reports the accuracy on the other rows beside that on all.
    """
    groups = defaultdict(list)
    for label, text in read_tsv(data / "chnsenticorp" / "train.tsv"):
        groups[text_key(text)].append((label, text))
    return [
        rows[0]
        for key, rows in groups.items()
        if len({label for label, _ in rows}) == 1
    ]


def unlabelled_reviews(data, held_out):
    """Texts of waimai-10k; the labels of that file are not read."""
    with open(data / "waimai-10k" / "waimai_10k.csv", encoding="utf-8", newline="") as f:
        texts = [row[1] for row in csv.reader(f)][1:]
    return list({text_key(t): t for t in texts if text_key(t) not in held_out}.values())


# ---------------------------------------------------------------- vocabulary


def build_vocab(texts, min_char=4, min_word=15):
    """Special tokens, frequent characters, ASCII pieces and frequent Latin words."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    words = Counter()
    for text in texts:
        words.update(w for w, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    ascii_chars = [chr(c) for c in range(0x21, 0x7F) if not 0x41 <= c <= 0x5A]
    alnum = [c for c in ascii_chars if c.isalnum()]
    chars = [w for w, n in words.most_common() if len(w) == 1 and n >= min_char]
    latin = [
        w for w, n in words.most_common()
        if len(w) > 1 and n >= min_word and w.isascii() and w.isalnum()
    ]
    tokens = SPECIALS + ascii_chars + ["##" + c for c in alnum] + chars + latin
    return list(dict.fromkeys(tokens))


def make_tokenizer(vocab):
    """BERT tokenizer (lower case, CJK characters split) over the token list."""
    from tokenizers import BertWordPieceTokenizer

    return BertWordPieceTokenizer({t: i for i, t in enumerate(vocab)}, lowercase=True)


def encode_clauses(tokenizer, texts):
    """For each text the token ids of its clauses, without special tokens."""
    out = []
    for text in texts:
        clauses = [c for c in CLAUSE_END.split(text) if c]
        ids = [tokenizer.encode(c, add_special_tokens=False).ids for c in clauses]
        out.append([i for i in ids if i] or [[UNK]])
    return out


# ---------------------------------------------------------------- n-gram teacher


class Teacher:
    """Naive-Bayes-weighted logistic regression over token n-grams, cross-fitted.

    A labelled text is scored by the model of the fold that did not see it; any other
    text gets the mean over all folds.
    """

    def __init__(self, longest=4, folds=5, strength=1.0):
        self.longest, self.folds, self.strength = longest, folds, strength
        self.tables, self.mean = [], None

    @staticmethod
    def as_string(ids):
        return "".join(chr(ID_BASE + i) for i in ids)

    def grams(self, ids):
        s, found = self.as_string(ids), set()
        for n in range(1, self.longest + 1):
            found.update(s[i:i + n] for i in range(len(s) - n + 1))
        return found

    def _fit_fold(self, matrix, labels, names, rows):
        from sklearn.linear_model import LogisticRegression

        x, y = matrix[rows], labels[rows]
        p, q = (np.asarray(x[y == c].sum(0)).ravel() + 1.0 for c in (1, 0))
        ratio = np.log((p / p.sum()) / (q / q.sum()))
        model = LogisticRegression(C=self.strength, solver="liblinear", max_iter=200)
        model.fit(x.multiply(ratio).tocsr(), y)
        weights = (model.coef_[0] * ratio).astype(np.float32)
        return dict(zip(names, weights.tolist())), float(model.intercept_[0])

    def fit(self, texts, labels):
        from sklearn.feature_extraction.text import CountVectorizer

        counter = CountVectorizer(
            analyzer="char", lowercase=False, ngram_range=(1, self.longest),
            min_df=2, binary=True,
        )
        matrix = counter.fit_transform([self.as_string(t) for t in texts])
        names, labels = counter.get_feature_names_out(), np.asarray(labels)
        fold = np.arange(len(texts)) % self.folds
        for f in range(self.folds):
            rows = np.flatnonzero(fold != f)
            self.tables.append(self._fit_fold(matrix, labels, names, rows))
        self._calibrate(texts, labels)

    def _calibrate(self, texts, labels):
        """Scales the scores so that out-of-fold probabilities are calibrated."""
        from sklearn.linear_model import LogisticRegression

        self.scale = 1.0
        scores = np.array([self.score(t, i) for i, t in enumerate(texts)])
        fitted = LogisticRegression(C=1e3, fit_intercept=False).fit(scores[:, None], labels)
        self.scale = float(fitted.coef_[0, 0])
        self.accuracy = float(((scores > 0) == labels).mean())

    def table(self, index=None):
        """N-gram weights and bias for the labelled text `index`, or the mean over the folds."""
        if index is not None:
            return self.tables[index % self.folds]
        if self.mean is None:
            weights = defaultdict(float)
            for table, _ in self.tables:
                for gram, weight in table.items():
                    weights[gram] += weight / self.folds
            self.mean = dict(weights), sum(b for _, b in self.tables) / self.folds
        return self.mean

    def score(self, ids, index=None):
        """Logit of the positive class for a whole text."""
        weights, bias = self.table(index)
        return self.scale * (bias + sum(weights.get(g, 0.0) for g in self.grams(ids)))

    def profile(self, ids, index=None, window=32):
        """Cumulative n-gram weights along a text, for the scores of its segments.

        An n-gram that occurred less than `window` tokens before does not count again.
        """
        (weights, bias), s = self.table(index), self.as_string(ids)
        sums = np.zeros((self.longest, len(ids) + 1), np.float32)
        for n in range(1, self.longest + 1):
            last = {}
            for i in range(len(s) - n + 1):
                gram = s[i:i + n]
                fresh = i - last.get(gram, -window) >= window
                sums[n - 1, i + 1] = weights.get(gram, 0.0) * fresh
                last[gram] = i
        return self.scale * np.cumsum(sums, 1), self.scale * bias


def segment_score(profile, begin, end):
    """Teacher logit of the tokens begin..end of a profiled text."""
    sums, bias = profile
    total = bias
    for n in range(1, len(sums) + 1):
        if end - n + 1 > begin:
            total += sums[n - 1, end - n + 1] - sums[n - 1, begin]
    return float(total)


# ---------------------------------------------------------------- model


class SharedDropout(nn.Module):
    """Dropout of whole features: one mask per sequence, shared by its positions."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.ndim - 2), x.shape[-1]) >= self.p
        return x * (keep.to(x.dtype) / (1 - self.p))


class Embeddings(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, HIDDEN, padding_idx=PAD)
        self.position_embeddings = nn.Embedding(POSITIONS, HIDDEN)
        self.token_type_embeddings = nn.Embedding(2, HIDDEN)
        self.LayerNorm = nn.LayerNorm(HIDDEN, eps=1e-12)

    def forward(self, ids, positions):
        x = self.word_embeddings(ids) + self.position_embeddings(positions)
        return self.LayerNorm(x + self.token_type_embeddings.weight[0])


class Output(nn.Module):
    """Projection, residual sum and layer normalisation."""

    def __init__(self, width, dropout):
        super().__init__()
        self.dense = nn.Linear(width, HIDDEN)
        self.LayerNorm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.dropout = SharedDropout(dropout)

    def forward(self, x, residual):
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)


class Attention(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.self = nn.ModuleDict({n: nn.Linear(HIDDEN, HIDDEN) for n in ("query", "key", "value")})
        self.output = Output(HIDDEN, dropout)

    def forward(self, x, mask):
        b, s, _ = x.shape
        q, k, v = (
            self.self[n](x).view(b, s, HEADS, -1).transpose(1, 2)
            for n in ("query", "key", "value")
        )
        scores = q @ k.transpose(2, 3) * (HIDDEN // HEADS) ** -0.5 + mask
        y = scores.softmax(-1).to(v.dtype) @ v
        return self.output(y.transpose(1, 2).reshape(b, s, HIDDEN), x)


class Layer(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.attention = Attention(dropout)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(HIDDEN, INNER)})
        self.output = Output(INNER, dropout)

    def forward(self, x, mask):
        x = self.attention(x, mask)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class Ernie(nn.Module):
    def __init__(self, vocab_size, dropout):
        super().__init__()
        self.embeddings = Embeddings(vocab_size)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(dropout) for _ in range(LAYERS))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(HIDDEN, HIDDEN)})
        self.dropout = SharedDropout(dropout)

    def forward(self, ids, positions):
        mask = (ids == PAD)[:, None, None, :] * -1e4
        x = self.dropout(self.embeddings(ids, positions))
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        return x


class Classifier(nn.Module):
    """Parameter names are those of transformers' ErnieForSequenceClassification."""

    def __init__(self, vocab_size, dropout):
        super().__init__()
        self.ernie = Ernie(vocab_size, dropout)
        self.classifier = nn.Linear(HIDDEN, 2)
        self.dropout = SharedDropout(dropout)

    def classify(self, hidden):
        pooled = torch.tanh(self.ernie.pooler["dense"](hidden[:, 0]))
        return self.classifier(self.dropout(pooled))

    def set_dropout(self, p):
        for module in self.modules():
            if isinstance(module, SharedDropout):
                module.p = p


class MaskedHead(nn.Module):
    """Masked-token prediction; the decoder shares the word embeddings."""

    def __init__(self, vocab_size):
        super().__init__()
        self.dense = nn.Linear(HIDDEN, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden, embeddings):
        return F.linear(self.norm(F.gelu(self.dense(hidden))), embeddings, self.bias)


# ---------------------------------------------------------------- initial values


def cooccurrence_vectors(sequences, vocab_size, dims, window=3):
    """Word vectors: truncated SVD of the positive pointwise mutual information."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import svds

    total = coo_matrix((vocab_size, vocab_size), dtype=np.float32).tocsr()
    flat = np.concatenate([np.array(s + [PAD] * window) for s in sequences])
    for gap in range(1, window + 1):
        a, b = flat[:-gap], flat[gap:]
        keep = (a != PAD) & (b != PAD)
        ones = np.ones(keep.sum(), np.float32) / gap
        total = total + coo_matrix((ones, (a[keep], b[keep])), total.shape).tocsr()
    total = (total + total.T).tocoo()
    count = np.asarray(total.sum(1)).ravel() + 1e-6
    pmi = np.log(total.data * count.sum() / (count[total.row] * count[total.col] ** 0.9))
    matrix = coo_matrix((np.maximum(pmi, 0), (total.row, total.col)), total.shape).tocsr()
    u, s, _ = svds(matrix, k=dims, random_state=0)
    vectors = u * np.sqrt(s)
    return vectors / (vectors.std() + 1e-9)


def rotation(frequencies, offset):
    """Matrix that turns the position code of i into the code of i + offset."""
    matrix = torch.zeros(POSITION_DIMS, POSITION_DIMS)
    for k, w in enumerate(frequencies):
        c, s = math.cos(w * offset), math.sin(w * offset)
        matrix[2 * k:2 * k + 2, 2 * k:2 * k + 2] = torch.tensor([[c, s], [-s, c]])
    return matrix


@torch.no_grad()
def initialise(model, sequences, vocab_size, scale=0.05):
    """Co-occurrence word vectors, sinusoidal positions, neighbour heads in layer 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.04)
            nn.init.zeros_(module.bias)
    table = model.ernie.embeddings
    vectors = cooccurrence_vectors(sequences, vocab_size, HIDDEN - POSITION_DIMS)
    nn.init.normal_(table.word_embeddings.weight, std=0.2 * scale)
    table.word_embeddings.weight[:, POSITION_DIMS:] += scale * torch.tensor(vectors.copy()).float()
    table.word_embeddings.weight[PAD] = 0
    nn.init.normal_(table.token_type_embeddings.weight, std=0.1 * scale)
    nn.init.normal_(table.position_embeddings.weight, std=0.01 * scale)
    frequencies = [1.5 * (0.004 / 1.5) ** (k / (POSITION_DIMS // 2 - 1)) for k in range(POSITION_DIMS // 2)]
    angles = torch.arange(POSITIONS)[:, None] * torch.tensor(frequencies)
    code = torch.stack([angles.sin(), angles.cos()], -1).reshape(POSITIONS, -1)
    table.position_embeddings.weight[:, :POSITION_DIMS] += 1.4 * scale * code
    first = model.ernie.encoder["layer"][0].attention.self
    for head, offset in enumerate((-1, 1, -2, 2)):
        rows = slice(head * POSITION_DIMS, (head + 1) * POSITION_DIMS)
        first["query"].weight[rows, :POSITION_DIMS] += 1.5 * rotation(frequencies, offset)
        first["key"].weight[rows, :POSITION_DIMS] += 1.5 * torch.eye(POSITION_DIMS)


# ---------------------------------------------------------------- batches


def take_segment(clauses, rng, longest):
    """Bounds of a random run of consecutive clauses with at most `longest` tokens."""
    first = rng.randrange(len(clauses))
    begin = sum(map(len, clauses[:first]))
    target, end = rng.randint(8, longest), begin
    for clause in clauses[first:]:
        end += len(clause)
        if end - begin >= target:
            break
    return begin, min(end, begin + longest)


def segment_sample(text, rng, longest):
    """A random segment of a stored text with its teacher score."""
    begin, end = take_segment(text["clauses"], rng, longest)
    return {"ids": text["ids"][begin:end], "score": segment_score(text["profile"], begin, end)}


def take_whole(clauses):
    return [i for clause in clauses for i in clause]


def bucket(samples, rng, tokens):
    """Groups samples of similar length into batches of about `tokens` tokens."""
    order = sorted(samples, key=lambda s: len(s["ids"]) + rng.random() * 4)
    batches, batch = [], []
    for sample in order:
        if batch and (len(batch) + 1) * (len(sample["ids"]) + 2) > tokens:
            batches.append(batch)
            batch = []
        batch.append(sample)
    batches.append(batch)
    rng.shuffle(batches)
    return batches


def collate(batch, rng, shift=0.3):
    """Pads a batch; in some rows the positions after [CLS] start further on."""
    width = max(len(s["ids"]) for s in batch) + 2
    ids = torch.full((len(batch), width), PAD)
    positions = torch.arange(width).repeat(len(batch), 1)
    for row, sample in enumerate(batch):
        tokens = [CLS] + sample["ids"] + [SEP]
        ids[row, :len(tokens)] = torch.tensor(tokens)
        if rng.random() < shift:
            positions[row, 1:] += rng.randint(0, POSITIONS - width)
    return ids, positions


def mask_tokens(ids, rate, vocab_size, generator):
    """BERT masking in runs of one to three tokens: 80 % [MASK], 10 % random, 10 % kept."""
    draw = lambda: torch.rand(ids.shape, generator=generator)
    chosen = draw() < rate / 1.7
    for chance in (0.5, 0.2):
        chosen[:, 1:] |= chosen[:, :-1] & (draw()[:, 1:] < chance)
    chosen &= ids >= len(SPECIALS) - 1
    kind, masked = draw(), ids.clone()
    masked[chosen & (kind < 0.8)] = MASK
    noise = torch.randint(len(SPECIALS), vocab_size, ids.shape, generator=generator)
    swap = chosen & (kind >= 0.8) & (kind < 0.9)
    masked[swap] = noise[swap]
    return masked, chosen


def drop_tokens(ids, rate, generator):
    """Replaces a random share of the tokens by [UNK] or [MASK]."""
    hit = (torch.rand(ids.shape, generator=generator) < rate) & (ids >= len(SPECIALS))
    kind = torch.rand(ids.shape, generator=generator) < 0.5
    out = ids.clone()
    out[hit & kind], out[hit & ~kind] = MASK, UNK
    return out


# ---------------------------------------------------------------- training


def share_batches(batches):
    """The part of an epoch that belongs to this worker; all parts are equally long."""
    rank, world = dist.get_rank(), dist.get_world_size()
    return batches[rank:len(batches) // world * world:world]


def worker_random(args):
    """Random sources that differ between the workers."""
    seed = args.seed + 1000 * (1 + dist.get_rank())
    torch.manual_seed(seed)
    return random.Random(seed), torch.Generator().manual_seed(seed)


def report(message):
    """Progress line of the first worker."""
    if dist.get_rank() == 0:
        print(message, flush=True)


class Run:
    """Optimizer, linear schedule with warm-up, and moving average of the weights."""

    def __init__(self, modules, lr, steps, decay, average=0.0):
        named = [p for m in modules for p in m.named_parameters()]
        groups = [
            {"params": [p for n, p in named if p.ndim > 1 and "embeddings" not in n], "weight_decay": decay},
            {"params": [p for n, p in named if p.ndim < 2 or "embeddings" in n], "weight_decay": 0.0},
        ]
        self.params = [p for _, p in named]
        self.optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)
        ramp = max(1, int(0.06 * steps))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda i: min((i + 1) / ramp, max(0.02, (steps - i) / max(1, steps - ramp))),
        )
        self.average, self.step_count = average, 0
        self.shadow = [p.detach().clone() for p in self.params] if average else None

    def share_gradients(self):
        """Averages the gradients over the worker processes."""
        grads = [p.grad for p in self.params if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(flat)
        parts = flat.div_(dist.get_world_size()).split([g.numel() for g in grads])
        for grad, part in zip(grads, parts):
            grad.copy_(part.view_as(grad))

    def step(self, loss):
        loss.backward()
        self.share_gradients()
        nn.utils.clip_grad_norm_(self.params, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        self.step_count += 1
        if self.shadow:
            rate = min(self.average, (1 + self.step_count) / (10 + self.step_count))
            torch._foreach_lerp_(self.shadow, [p.detach() for p in self.params], 1 - rate)

    def swap(self):
        """Exchanges the weights and their moving average."""
        for p, s in zip(self.params, self.shadow):
            p.data, s.data = s.data, p.data


def soft_loss(logits, target):
    """Cross-entropy against the teacher's probability of the positive class."""
    return F.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], torch.sigmoid(target))


def warmup_samples(store, rng, longest):
    """One random segment of every text, two of the labelled ones."""
    return [segment_sample(t, rng, longest) for t in store["texts"] * 2 + store["extra"]]


def warmup(args, store):
    """Masked-language-model training with the teacher's score as a second target."""
    rng, size = random.Random(args.seed), len(store["vocab"])
    model, head = Classifier(size, args.warmup_dropout), MaskedHead(size)
    sequences = [t["ids"] for t in store["texts"] + store["extra"]]
    initialise(model, sequences, size)
    if args.resume:
        model.load_state_dict(torch.load(args.work / args.resume))
    epochs = [
        share_batches(bucket(warmup_samples(store, rng, args.segment), rng, args.batch_tokens))
        for _ in range(args.warmup_epochs)
    ]
    steps = sum(map(len, epochs))
    rng, generator = worker_random(args)
    run, done, seen, begin = Run([model, head], args.warmup_lr, steps, 0.01), 0, 0, time.time()
    means = np.zeros(2)
    for number, batches in enumerate(epochs):
        for batch in batches:
            ids, positions = collate(batch, rng)
            masked, chosen = mask_tokens(ids, args.mask_rate, size, generator)
            with torch.autocast("cpu", torch.bfloat16):
                hidden = model.ernie(masked, positions)
                table = model.ernie.embeddings.word_embeddings.weight
                token_logits, logits = head(hidden[chosen], table), model.classify(hidden)
            token_loss = F.cross_entropy(token_logits.float(), ids[chosen])
            teach = soft_loss(logits.float(), torch.tensor([s["score"] for s in batch]))
            run.step(token_loss + args.teach_weight * teach)
            done, seen = done + 1, seen + ids.numel()
            means += max(0.02, 1 / done) * (np.array([token_loss.item(), teach.item()]) - means)
            if done % 50 == 0:
                rate = dist.get_world_size() * seen / (time.time() - begin)
                report(f"warmup {done}/{steps} mlm {means[0]:.3f} teach {means[1]:.3f} {rate:.0f} tok/s")
        if dist.get_rank() == 0:
            torch.save(model.state_dict(), args.work / args.warm_result)
            torch.save(head.state_dict(), args.work / "masked-head.pt")
            report(f"warmup epoch {number + 1} dev {accuracy(model, store['dev'], 256):.4f}")


def finetune_samples(store, rng, args):
    """Every review whole, and one random segment of it, with label and teacher score."""
    samples = []
    for text in store["texts"]:
        whole = {"ids": text["ids"][:args.longest], "score": text["score"], "hard": 1.0}
        segment = segment_sample(text, rng, args.segment)
        samples.append({**whole, "label": text["label"]})
        samples.append({**segment, "hard": args.segment_hard, "label": text["label"]})
    return samples


def finetune_loss(logits, batch, args):
    """Blend of label and teacher cross-entropy; segments lean on the teacher."""
    hard = torch.tensor([s["hard"] for s in batch])
    labels = torch.tensor([s["label"] for s in batch])
    target = torch.sigmoid(torch.tensor([s["score"] for s in batch]))
    share = hard * args.label_share
    target = share * labels + (1 - share) * target
    return F.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], target)


def finetune(args, store):
    """Training on the labelled reviews; keeps the moving average of the weights."""
    rng = random.Random(args.seed)
    model = Classifier(len(store["vocab"]), args.dropout)
    model.load_state_dict(torch.load(args.work / args.start))
    model.set_dropout(args.dropout)
    epochs = [
        share_batches(bucket(finetune_samples(store, rng, args), rng, args.batch_tokens))
        for _ in range(args.epochs)
    ]
    steps = sum(map(len, epochs))
    rng, generator = worker_random(args)
    run, begin, best = Run([model], args.lr, steps, 0.05, average=0.995), time.time(), 0.0
    for number, batches in enumerate(epochs):
        model.train()
        total = 0.0
        for batch in batches:
            ids, positions = collate(batch, rng)
            ids = drop_tokens(ids, args.token_drop, generator)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model.classify(model.ernie(ids, positions))
            loss = finetune_loss(logits.float(), batch, args)
            run.step(loss)
            total += loss.item() / len(batches)
        if dist.get_rank() == 0:
            run.swap()
            score = accuracy(model, store["dev"], POSITIONS - 2)
            if score >= best:
                best = score
                torch.save(model.state_dict(), args.work / args.result)
            run.swap()
            report(f"finetune {number + 1}/{args.epochs} loss {total:.4f} dev {score:.4f} {time.time() - begin:.0f} s")


@torch.no_grad()
def accuracy(model, rows, longest):
    """Accuracy on (label, ids) rows."""
    training = model.training
    model.eval()
    rng = random.Random(0)
    samples = [{"ids": ids[:longest], "label": label} for label, ids in rows]
    right = 0
    for batch in bucket(samples, rng, 4096):
        ids, positions = collate(batch, rng, shift=0)
        guess = model.classify(model.ernie(ids, positions)).argmax(1)
        right += (guess == torch.tensor([s["label"] for s in batch])).sum().item()
    model.train(training)
    return right / len(samples)


# ---------------------------------------------------------------- stages


def stored_texts(clauses, teacher, labels=None):
    """Token ids, clauses and teacher scores of each text."""
    texts = []
    for index, parts in enumerate(clauses):
        fold = None if labels is None else index
        ids = take_whole(parts)
        texts.append({
            "ids": ids, "clauses": parts, "score": teacher.score(ids, fold),
            "profile": teacher.profile(ids, fold), "label": labels[index] if labels else None,
        })
    return texts


def prepare(args):
    """Texts, vocabulary, token ids and teacher scores, pickled into the work folder."""
    held_out = held_out_keys(args.data)
    reviews, extra = labelled_reviews(args.data), unlabelled_reviews(args.data, held_out)
    random.Random(args.seed).shuffle(reviews)
    labels, texts = [y for y, _ in reviews], [t for _, t in reviews]
    vocab = build_vocab(texts + extra)
    tokenizer = make_tokenizer(vocab)
    clauses, teacher = encode_clauses(tokenizer, texts), Teacher()
    teacher.fit([take_whole(c) for c in clauses], labels)
    dev = read_tsv(args.data / "chnsenticorp" / "dev.tsv")
    dev_ids = map(take_whole, encode_clauses(tokenizer, [t for _, t in dev]))
    store = {
        "vocab": vocab,
        "texts": stored_texts(clauses, teacher, labels),
        "extra": stored_texts(encode_clauses(tokenizer, extra), teacher),
        "dev": [(y, ids) for (y, _), ids in zip(dev, dev_ids)],
    }
    right = np.mean([(teacher.score(ids) > 0) == y for y, ids in store["dev"]])
    print(f"{len(texts)} labelled, {len(extra)} unlabelled, {len(vocab)} tokens")
    print(f"teacher: out-of-fold {teacher.accuracy:.4f}, dev {right:.4f}, scale {teacher.scale:.3f}", flush=True)
    with open(args.work / "store.pkl", "wb") as f:
        pickle.dump(store, f)


def load_store(args):
    with open(args.work / "store.pkl", "rb") as f:
        return pickle.load(f)


def worker(rank, args, stage, rendezvous):
    """Body of one training process."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=args.workers)
    stage(args, load_store(args))
    dist.destroy_process_group()


def train_stage(args, stage):
    """Runs a training stage in `args.workers` processes of one thread each."""
    meeting = args.work / "rendezvous"
    meeting.unlink(missing_ok=True)
    mp.spawn(worker, (args, stage, meeting.resolve().as_uri()), nprocs=args.workers)


def export_stage(args):
    import export

    export.export(args.out, torch.load(args.work / args.result), load_store(args)["vocab"])


def evaluate(args):
    import export

    names = ["dev.tsv"] + (["test.tsv"] if args.test else [])
    for name in names:
        rows = read_tsv(args.data / "chnsenticorp" / name)
        train = {text_key(text) for _, text in read_tsv(args.data / "chnsenticorp" / "train.tsv")}
        unseen = [(label, text) for label, text in rows if text_key(text) not in train]
        for what, some in [("all rows", rows), ("rows that train.tsv does not hold", unseen)]:
            right = export.accuracy(args.out, some)
            print(f"{name}, {what}: {right}/{len(some)} = {right / len(some):.4f}")


def parse_args():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stages", nargs="*", default=["prepare", "warmup", "finetune", "export", "evaluate"])
    p.add_argument("--data", type=Path, default=HERE / "../../../shared/data", help="data folder")
    p.add_argument("--work", type=Path, default=HERE / "../../build/demo-work", help="intermediate files")
    p.add_argument("--out", type=Path, default=HERE, help="checkpoint folder")
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--workers", type=int, default=2, help="training processes of one thread each")
    p.add_argument("--batch-tokens", type=int, default=2560, help="tokens of a batch, per worker")
    p.add_argument("--segment", type=int, default=96, help="longest random segment")
    p.add_argument("--longest", type=int, default=320, help="longest review in fine-tuning")
    p.add_argument("--warmup-epochs", type=int, default=6)
    p.add_argument("--warmup-lr", type=float, default=7e-4)
    p.add_argument("--warmup-dropout", type=float, default=0.0)
    p.add_argument("--mask-rate", type=float, default=0.2)
    p.add_argument("--teach-weight", type=float, default=2.0)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--lr", type=float, default=5e-4)
    p.add_argument("--dropout", type=float, default=0.15)
    p.add_argument("--token-drop", type=float, default=0.1)
    p.add_argument("--label-share", type=float, default=0.6, help="weight of the label against the teacher")
    p.add_argument("--segment-hard", type=float, default=0.3, help="share of the label weight for segments")
    p.add_argument("--resume", help="weights that the warm-up continues from")
    p.add_argument("--warm-result", default="warmup.pt", help="weights that the warm-up leaves")
    p.add_argument("--start", default="warmup.pt", help="weights that fine-tuning starts from")
    p.add_argument("--result", default="finetune.pt", help="weights that fine-tuning leaves")
    p.add_argument("--test", action="store_true", help="evaluate on test.tsv as well")
    args = p.parse_args()
    args.data = args.data / "datasets" if (args.data / "datasets").exists() else args.data
    return args


def main():
    args = parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    plain = {"prepare": prepare, "export": export_stage, "evaluate": evaluate}
    stored = {"warmup": warmup, "finetune": finetune}
    for stage in args.stages:
        plain[stage](args) if stage in plain else train_stage(args, stored[stage])


if __name__ == "__main__":
    main()
