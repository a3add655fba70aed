#!/usr/bin/env python3
"""Measures generated texts on the held-back lines of `train.py`, and compares them with those of the reference.

Usage: evaluate.py MODEL [--greedy FILE] [--beam5 FILE]

MODEL is the folder that `train.py` wrote. A FILE has a JSON object for each line of `held_back.jsonl`, with the
generated `text` and, where they are there, `ids` (or `token_ids`, or `tokens`, if they are numbers); both may lie deeper,
in objects or in the first entry of lists. Needs nothing but Python. Ends with status 1 where a text or ids differ from
the reference's.
"""

import argparse
import json
import sys
from pathlib import Path


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def find(entry, names):
    """The first value that has one of the names, here or in the first entry of what is inside; None without one."""
    if isinstance(entry, list):
        return find(entry[0], names) if entry else None
    if not isinstance(entry, dict):
        return None
    inside = (find(value, names) for value in entry.values() if isinstance(value, (dict, list)))
    own = (entry[name] for name in names if name in entry)
    return next((value for part in (own, inside) for value in part if value is not None), None)


def prediction(entry, sep):
    """Text and ids without [SEP] of a line; None for what it does not say."""
    text, ids = find(entry, ["text"]), find(entry, ["ids", "token_ids", "tokens"])
    if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
        ids = None
    return text, ids[:ids.index(sep)] if ids and sep in ids else ids


def measure(name, found, lines):
    right = sum(text is not None and text.strip() == line["target"] for (text, _), line in zip(found, lines))
    print(f"{name}: {right} of {len(lines)} right ({100 * right / len(lines):.1f} %)")


def compare(name, found, expected):
    """Prints how many texts and ids are equal and the first that differ. True where all are."""
    texts = [ours[0] is not None and ours[0].strip() == theirs[0] for ours, theirs in zip(found, expected)]
    pairs = [(ours[1], theirs[1]) for ours, theirs in zip(found, expected) if None not in (ours[1], theirs[1])]
    ids = [ours == theirs for ours, theirs in pairs]
    print(f"{name}: {sum(texts)} of {len(texts)} texts and {sum(ids)} of {len(ids)} ids equal the reference's")
    for i in [i for i, same in enumerate(texts) if not same][:5]:
        print(f"  line {i + 1}: {found[i][0]!r}, reference {expected[i][0]!r}")
    return all(texts) and all(ids)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("--greedy", type=Path, help="what was generated greedily")
    p.add_argument("--beam5", type=Path, help="what was generated with five beams")
    args = p.parse_args()
    lines = read(args.model / "held_back.jsonl")
    vocab = (args.model / "vocab.txt").read_text(encoding="utf-8").split("\n")
    sep, is_equal = vocab.index("[SEP]"), True
    for name in ("greedy", "beam5"):
        paths = {"reference": args.model / f"{name}.jsonl", "given": getattr(args, name)}
        found = {k: [prediction(entry, sep) for entry in read(v)] for k, v in paths.items() if v and v.exists()}
        if paths["given"] and "given" not in found:
            sys.exit(f"{paths['given']}: no such file")
        for who, answers in found.items():
            if len(answers) != len(lines):
                sys.exit(f"{paths[who]}: {len(answers)} answers to {len(lines)} lines")
            measure(f"{name}, {who}", answers, lines)
        if len(found) == 2:
            is_equal &= compare(name, found["given"], found["reference"])
    sys.exit(0 if is_equal else 1)


if __name__ == "__main__":
    main()
