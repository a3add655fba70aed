#!/usr/bin/env python3
"""Makes the model that all peers run, its ONNX graph, and what they are compared with. Runs in the venv with PyTorch.

    model.py make WORK        WORK/model: a random ERNIE of base size with two labels, as Hugging Face stores it
    model.py export WORK      WORK/onnx/model.onnx: the same by torch.onnx.export, for ONNX Runtime and OpenVINO
    model.py reference WORK   WORK/reference.json: ids of all texts and the logits of those that are compared, in f32

WORK/texts.json (of run.py) must be there. Weights are drawn as those of real networks are before training (normal,
0.02); biases are not zero, so that a peer that forgets one is found out. The classifier is then moved and stretched so that
half of the texts compared have each label and the difference of their logits has a standard deviation of 2.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import BertWordPieceTokenizer

import workloads

SEED = 20251125


def config(vocab_size):
    """That of nghuyong/ernie-3.0-base-zh, but for the labels."""
    return transformers.ErnieConfig(
        vocab_size=vocab_size,
        hidden_size=workloads.HIDDEN,
        num_hidden_layers=workloads.LAYERS,
        num_attention_heads=workloads.HEADS,
        intermediate_size=workloads.INNER,
        hidden_act="gelu",
        max_position_embeddings=2048,
        type_vocab_size=4,
        task_type_vocab_size=3,
        use_task_id=True,
        layer_norm_eps=1e-5,
        num_labels=workloads.LABELS,
    )


def make(work):
    folder = work / "model"
    vocabulary = json.loads((work / "texts.json").read_text())["vocabulary"]
    text = "\n".join(vocabulary)
    stamp = {"seed": SEED, "vocabulary": hashlib.sha256(text.encode()).hexdigest()}
    if (folder / "made.json").is_file() and json.loads((folder / "made.json").read_text()) == stamp:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text(text, encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": workloads.MAX_TOKENS}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")

    torch.manual_seed(SEED)
    model = transformers.ErnieForSequenceClassification(config(40000)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(".bias"):
                torch.nn.init.normal_(weight, std=0.02)
        logits = torch.tensor(logits_of(model, tokenizer(folder), check_texts(work)))
        margin = logits[:, 1] - logits[:, 0]
        scale = 2.0 / margin.std()
        model.classifier.weight *= scale
        model.classifier.bias *= scale
        model.classifier.bias[1] -= margin.median() * scale
    model.save_pretrained(folder)
    (folder / "made.json").write_text(json.dumps(stamp) + "\n")


def tokenizer(folder):
    made = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    made.enable_truncation(workloads.MAX_TOKENS)
    return made


def check_texts(work):
    return json.loads((work / "texts.json").read_text())["check"]


def logits_of(model, cut, texts):
    """Each text alone, without padding."""
    with torch.inference_mode():
        return [model(input_ids=torch.tensor([cut.encode(text).ids])).logits[0].tolist() for text in texts]


class Exported(torch.nn.Module):
    """Inputs in ONNX's order, logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, token_type_ids, attention_mask):
        kinds = dict(token_type_ids=token_type_ids, attention_mask=attention_mask)
        return self.model(input_ids=input_ids, **kinds).logits


def load(work, attention):
    kinds = dict(attn_implementation=attention, dtype=torch.float32)
    return transformers.ErnieForSequenceClassification.from_pretrained(work / "model", **kinds).eval()


def without_task_ids(model):
    """Adds the embedding of task 0, which every token has, to those of the positions.

    ONNX Runtime's optimiser would drop it in silence (it fuses three tables and takes the fourth for nothing), and
    BERT, which the other peers know, has none.
    """
    parts = model.ernie.embeddings
    with torch.no_grad():
        parts.position_embeddings.weight += parts.task_type_embeddings.weight[0]
    parts.use_task_id = False
    return model


def export(work):
    """The TorchScript exporter's graph with plain attention: the one whose patterns ONNX Runtime's optimiser knows."""
    target = work / "onnx/model.onnx"
    if target.is_file() and target.stat().st_mtime > (work / "model/made.json").stat().st_mtime:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    ids = torch.tensor([[1, 100, 200, 300, 2], [1, 400, 2, 0, 0]])
    axes = {name: {0: "batch", 1: "tokens"} for name in names} | {"logits": {0: "batch"}}
    part = str(target.with_suffix(".part"))
    torch.onnx.export(
        Exported(without_task_ids(load(work, "eager"))),
        (ids, torch.zeros_like(ids), (ids != 0).long()),
        part,
        input_names=names,
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        do_constant_folding=True,
        dynamo=False,
    )
    Path(part).rename(target)


def reference(work):
    texts = json.loads((work / "texts.json").read_text())
    torch.set_num_threads(2)
    cut = tokenizer(work / "model")
    logits = logits_of(load(work, "eager"), cut, texts["check"])
    lengths = {name: [len(e.ids) for e in cut.encode_batch(many)] for name, many in texts["workloads"].items()}
    ids = [e.ids for e in cut.encode_batch(texts["check"])]
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    result = {"logits": logits, "ids": ids, "lengths": lengths, "versions": versions}
    (work / "reference.json").write_text(json.dumps(result))


if __name__ == "__main__":
    {"make": make, "export": export, "reference": reference}[sys.argv[1]](Path(sys.argv[2]))
