#!/usr/bin/env python3
"""Compares libernie's answers with the predictions that `predict.py` recorded, line by line.

Usage: compare.py ERNIE MODELS PREDICTIONS, where ERNIE is the command-line tool, and the folders hold `ner`, `pairs` and
`mrc` as the README makes them. Needs nothing but Python. Ends with status 1 where a line differs whose margin is above
`NOISE`.
"""

import json
import subprocess
import sys
from pathlib import Path

# Two scores that are nearer than this may change places: the reference computes in float32 too.
NOISE = 1e-4


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def answers(ernie, model, inputs, arguments):
    """One answer of the tool for each input."""
    lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in inputs)
    command = [ernie, "infer", "--format", "jsonl", *arguments, str(model)]
    result = subprocess.run(command, input=lines, capture_output=True, encoding="utf-8", check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: {result.stderr}")
    found = [json.loads(line) for line in result.stdout.split("\n") if line]
    if len(found) != len(inputs):
        sys.exit(f"{len(found)} answers to {len(inputs)} lines")
    return found


def ner(ernie, model, lines):
    arguments = ["--tags", "words", "--words", "separated", "--set", "seed_truncate_to=256"]
    found = answers(ernie, model, [{"text": line["text"]} for line in lines], arguments)
    for line, answer in zip(lines, found):
        ours = [word["label"] for word in answer["words"]]
        yield line, ours == line["labels"], sum(a == b for a, b in zip(ours, line["labels"])), len(line["labels"])


def pairs(ernie, model, lines):
    inputs = [{"text": line["text"], "pair": line["pair"]} for line in lines]
    found = answers(ernie, model, inputs, ["--set", "seed_truncate_to=128"])
    for line, answer in zip(lines, found):
        is_equal = answer["items"][0]["id"] == line["label"]
        yield line, is_equal, int(is_equal), 1


def mrc(ernie, model, lines):
    arguments = ["--task", "question_answering", "--max-tokens", "384", "--doc-stride", "128"]
    inputs = [{"question": line["question"], "passage": line["passage"]} for line in lines]
    found = answers(ernie, model, inputs, arguments)
    for line, answer in zip(lines, found):
        ours = [entry["text"] for entry in answer["answers"]]
        theirs = [entry["text"] for entry in line["nbest"]]
        for entry in answer["answers"]:
            span = line["passage"].encode()[entry["begin"] : entry["end"]].decode()
            assert span == entry["text"], f"{line['id']}: the answer is not what stands at its place"
        yield line, ours[0] == theirs[0], sum(a == b for a, b in zip(ours, theirs)), len(theirs)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    ernie, models, predictions = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(f"{'task':6} {'lines':>6} {'equal':>6} {'held back':>10} {'equal':>6}  parts")
    n_wrong = 0
    for task, parts in ((ner, "words"), (pairs, "labels"), (mrc, "answers of n-best lists")):
        name = task.__name__
        results = list(task(ernie, models / name, read(predictions / f"{name}.jsonl")))
        held = [result for result in results if result[0]["held_back"]]
        equal = sum(result[1] for result in results)
        held_equal = sum(result[1] for result in held)
        n_equal, n_parts = sum(result[2] for result in results), sum(result[3] for result in results)
        print(
            f"{name:6} {len(results):6} {equal:6} {len(held):10} {held_equal:6}  {n_equal} of {n_parts} {parts} equal"
        )
        for line, is_equal, _, _ in results:
            if not is_equal:
                n_wrong += line["margin"] > NOISE
                print(f"  differs: {line['id']}, margin {line['margin']}")
    sys.exit(1 if n_wrong else 0)


if __name__ == "__main__":
    main()
