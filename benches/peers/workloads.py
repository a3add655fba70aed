"""Texts and workloads: what is measured, on which texts, and how much arithmetic a text is.

Texts come from the public data sets of `../shared/data` (SOURCES.md there); where that folder is absent, from a fixed
seed, with the same distribution of lengths. Nothing here needs a package.
"""

import random
from dataclasses import dataclass
from pathlib import Path

# A base-size encoder: what model.py makes and what the counts of operations below are of.
LAYERS, HIDDEN, HEADS, INNER, LABELS = 12, 768, 12, 3072, 2
MAX_TOKENS = 512
BATCH = 32
CALLERS = 16

# Characters of a text at these shares of the data set (0, 1/20, ... 1): reviews of ChnSentiCorp, questions of LCQMC.
REVIEW_LENGTHS = [15, 31, 36, 40, 43, 46, 51, 55, 60, 67, 75, 86, 97, 108, 132, 155, 171, 179, 191, 248, 924]
QUESTION_LENGTHS = [4, 7, 8, 10, 10, 10, 11, 11, 11, 12, 12, 12, 13, 13, 14, 14, 15, 16, 17, 19, 36]


@dataclass(frozen=True)
class Workload:
    """One thing that is measured. `unit` is that of the number told; `better` says which numbers are good."""

    name: str
    kind: str  # "latency", "throughput", "callers", "open" or "memory": how server.py runs it
    title: str
    unit: str
    better: str = "lower"


WORKLOADS = [
    Workload("single128", "latency", "a text of 128 tokens, p50", "ms"),
    Workload("single16", "latency", "a text of 16 tokens, p50", "ms"),
    Workload("chnsenticorp", "throughput", "reviews, all there at once", "tokens/ms", "higher"),
    Workload("lcqmc_singles", "latency", "questions one by one, mean", "ms"),
    Workload("lcqmc_together", "throughput", "questions, all there at once", "tokens/ms", "higher"),
    Workload("callers16", "callers", "16 threads, a question at a time", "texts/s", "higher"),
    Workload("open", "open", "opening, to the first answer", "s"),
    Workload("memory", "memory", "most memory, VmHWM", "MB"),
]


def operations(n_tokens):
    """Additions and multiplications of one text of so many tokens, padding and the embedding's sums left out."""
    products = 4 * HIDDEN * HIDDEN + 2 * HIDDEN * INNER
    attention = 2 * HIDDEN * n_tokens
    return 2 * (LAYERS * n_tokens * (products + attention) + HIDDEN * HIDDEN + HIDDEN * LABELS)


class Texts:
    """The texts of all workloads. `origin` tells where they are from."""

    def __init__(self, data, limit=None, quick=False):
        data = Path(data)
        self.vocabulary = read_vocabulary(data)
        known = set(self.vocabulary)
        if (data / "datasets").is_dir():
            self.origin = "ChnSentiCorp dev and LCQMC dev of ../shared/data"
            reviews = column(data / "datasets/chnsenticorp/dev.tsv", 1, skip=1)
            questions = column(data / "datasets/lcqmc/dev.txt", 0)
            self.calibration = column(data / "datasets/chnsenticorp/train.tsv", 1, skip=1)[:128]
        else:
            self.origin = "made from a fixed seed, with the lengths of ChnSentiCorp and LCQMC (no ../shared/data here)"
            rng = random.Random(7)
            reviews = [made(rng, REVIEW_LENGTHS) for _ in range(1200)]
            questions = [made(rng, QUESTION_LENGTHS) for _ in range(2000)]
            self.calibration = [made(rng, REVIEW_LENGTHS) for _ in range(128)]
        ideographs = [c for c in "".join(reviews) if "\u4e00" <= c <= "\u9fff" and c in known]
        n_reviews = min(limit or 128, len(reviews))
        n_questions = min(limit or 256, len(questions))
        self.by_workload = {
            "single128": ["".join(ideographs[:126])] * (10 if quick else 60),
            "single16": ["".join(ideographs[:14])] * (20 if quick else 200),
            "chnsenticorp": reviews[:n_reviews],
            "lcqmc_singles": questions[:n_questions],
            "lcqmc_together": questions[:n_questions],
            "callers16": questions[:n_questions],
            "open": questions[:1],
            "memory": reviews[:n_reviews],
        }
        # What outputs are compared on: other texts than those measured, of all lengths.
        self.check = reviews[-32:] + questions[-32:]

    def as_json(self):
        return {"workloads": self.by_workload, "check": self.check, "calibration": self.calibration}


def read_vocabulary(data):
    """The vocabulary of ERNIE 3.0, or where it is absent one of the same size and order: special tokens, ideographs."""
    path = Path(data) / "vocab/ernie-3.0-zh/vocab.txt"
    if path.is_file():
        return [line.split("\t")[0] for line in path.read_text(encoding="utf-8").split("\n")]
    special = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", ",", ".", "!", "?", "，", "。"]
    ideographs = [chr(c) for c in range(0x4E00, 0x9FA6)]
    others = [f"t{i}" for i in range(39979 - len(special) - len(ideographs))]
    return special + ideographs + others + ["[UNK]"]


def column(path, index, skip=0):
    lines = path.read_text(encoding="utf-8").split("\n")[skip:]
    return [line.split("\t")[index] for line in lines if line]


def made(rng, lengths):
    """A text of random ideographs whose length is drawn between the quantiles `lengths`."""
    at = rng.random() * (len(lengths) - 1)
    low, high = lengths[int(at)], lengths[int(at) + 1]
    n = round(low + (high - low) * (at - int(at)))
    return "".join(chr(0x4E00 + int(rng.betavariate(1, 6) * 20901)) for _ in range(n))
