#!/usr/bin/env python3
"""Records what the reference implementation answers with the checkpoints of train.py, one JSON line per input.

Evaluation mode, float32, every input alone (batch 1, no padding). `held_back` says that the training did not see the
line; the measures are printed for those lines only.
"""

import argparse
import json
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import paddle as P

import train as t


def forward(model, ids, types):
    """Model outputs of one input, without the loss."""
    return [x.numpy()[0] for x in model(*(P.to_tensor(np.array([v], dtype="int64")) for v in (ids, types)))[1:]]


def gap(values):
    """Difference of the best and the second best value."""
    second, best = np.sort(np.asarray(values, np.float32))[-2:]
    return round(float(best - second), 6)


def rounded(array):
    return [[round(float(x), 6) for x in row] for row in array]


def chunks(tags):
    """(type, first, last) of the entities of a tag list; an I- tag without its beginning starts one."""
    found, begin = set(), None
    for i, tag in enumerate(tags + ["O"]):
        inside = begin is not None and tag == "I-" + tags[begin][2:]
        if begin is not None and not inside:
            found.add((tags[begin][2:], begin, i - 1))
            begin = None
        if tag != "O" and not inside:
            begin = i
    return found


def ner(args, tokenizer, model):
    """before() and the merging of evaluate() of finetune_ner.py."""
    names, hits, predicted, true = t.LABELS["ner"], 0, 0, 0
    for number, text, tags, held in t.ner_rows(args.data):
        tokens, piece = t.ner_pieces(tokenizer, text)
        seg, _ = tokenizer.truncate(np.array(tokenizer.convert_tokens_to_ids(tokens)), [], 256)
        piece, _ = tokenizer.truncate(np.array(piece), [], 256)
        ids, types = tokenizer.build_for_ernie(seg)
        logits, = forward(model, ids, types)
        merged = defaultdict(list)
        for at, row, token in zip(np.concatenate([[0], piece, [0]]), logits, ids):
            if token > tokenizer.mask_id:
                merged[int(at)].append(row)
        merged = {at: np.array(rows).mean(0) for at, rows in merged.items()}
        labels = [names[merged[i].argmax()] if i in merged else None for i in range(text.count("\2") + 1)]
        if held:
            guess, truth = chunks([x or "O" for x in labels]), chunks(tags.split("\2"))
            hits, predicted, true = hits + len(guess & truth), predicted + len(guess), true + len(truth)
        yield {
            "id": number, "held_back": held, "text": text, "labels": labels, "logits": rounded(merged.values()),
            "margin": min(map(gap, merged.values()), default=None),
        }
    precision, recall = hits / predicted, hits / true
    print(f"precision {precision:.4f} recall {recall:.4f} F1 {2 * hits / (predicted + true):.4f} "
          f"({true} entities, {predicted} predicted)")


def pairs(args, tokenizer, model):
    right, total = 0, 0
    for number, a, b, label, held in t.pair_rows(args.data):
        logits, = forward(model, *t.encode_pair(tokenizer, a, b, 128))
        guess = int(logits.argmax())
        right, total = right + (held and guess == label), total + held
        yield {
            "id": number, "held_back": held, "text": a, "pair": b, "label": guess,
            "logits": rounded([logits])[0], "margin": gap(logits),
        }
    print(f"accuracy {right / total:.4f} ({right}/{total})")


def originals(metrics):
    """Keeps the text that _get_final_text starts from, by its result."""
    seen, inner = {}, metrics._get_final_text

    def wrapper(pred_text, orig_text, tokenizer):
        final = inner(pred_text, orig_text, tokenizer)
        seen.setdefault(final, orig_text)
        return final

    metrics._get_final_text = wrapper
    return seen


def mrc(args, tokenizer, model):
    """mrc_reader and mrc_metrics of the demo, one window per batch."""
    from demo.mrc import mrc_metrics as metrics, mrc_reader as reader

    # nltk.word_tokenize needs a downloaded model unless the text counts as one line.
    metrics.nltk.word_tokenize = partial(metrics.nltk.word_tokenize, preserve_line=True)
    held = t.mrc_parts(args.data)[1]
    answers, seen = {}, originals(metrics)
    for passage in held:
        for qa in passage["qas"]:
            tokens = reader._tokenize_chinese_chars(passage["context"])
            example = reader.Example(qa["id"], qa["question"], tokens, None, None, None)
            features = reader.convert_example_to_features(
                [example], 384, tokenizer, is_training=False, doc_stride=128, max_query_length=64)
            results = [
                metrics.RawResult(f.unique_id, *forward(model, f.token_ids, f.text_type_ids)) for f in features]
            seen.clear()
            answer, found = metrics.make_results(
                tokenizer, [example], features, results,
                n_best_size=20, max_answer_length=100, do_lower_case=tokenizer.lower)
            answers.update(answer)
            nbest = [
                {"text": e["text"], "orig_text": seen.get(e["text"]), "probability": e["probability"],
                 "start_logit": round(float(e["start_logit"]), 6), "end_logit": round(float(e["end_logit"]), 6)}
                for e in found[qa["id"]]]
            scores = [e["start_logit"] + e["end_logit"] for e in found[qa["id"]]]
            yield {
                "id": qa["id"], "held_back": True, "question": qa["question"], "passage": passage["context"],
                "windows": len(features), "nbest": nbest, "margin": gap(scores) if len(scores) > 1 else None,
            }
    f1, exact, total, skipped = metrics.evaluate({"data": [{"paragraphs": held}]}, answers)
    print(f"exact match {exact:.4f} F1 {f1:.4f} ({total} questions, {skipped} skipped)")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    t.arguments(p)
    p.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    p.add_argument("--out", type=Path, required=True, help="JSON lines file to write")
    args = p.parse_args()
    t.prepare(args)
    from ernie.tokenizing_ernie import ErnieTokenizer

    tokenizer, model = ErnieTokenizer.from_pretrained(args.model), t.open_model(args.task, args.model)
    model.eval()
    with P.no_grad(), open(args.out, "w", encoding="utf-8") as out:
        for row in {"ner": ner, "pairs": pairs, "mrc": mrc}[args.task](args, tokenizer, model):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
