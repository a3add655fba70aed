"""CTranslate2: the encoder and pooler of the model as a BERT, f32 and int8; the classifier of two labels in numpy.

Run as a program, in the venv with PyTorch, it converts: `python -m peers.ctranslate2 WORK`.
"""

import os
import shutil
import sys
from pathlib import Path

# It takes AVX2 by itself where the processor is AMD's; with AVX-512 int8 takes a twentieth less. Read at import.
if "avx512bw" in Path("/proc/cpuinfo").read_text():
    os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")

import ctranslate2

from peers.padded import Padded, np

KINDS = {"f32": "float32", "int8": "int8_float32"}


class Engine(Padded):
    def __init__(self, work, precision, threads):
        self.open_tokenizer(work)
        self.encoder = ctranslate2.Encoder(
            str(work / "ctranslate2" / precision),
            device="cpu",
            compute_type=KINDS[precision],
            inter_threads=1,
            intra_threads=threads,
        )
        stored = np.load(work / "ctranslate2/classifier.npz")
        self.weight, self.bias = stored["weight"], stored["bias"]
        self.version = f"ctranslate2 {ctranslate2.__version__}"

    def forward(self, ids, mask):
        lengths = mask.sum(1).astype(np.int32)
        fed = ctranslate2.StorageView.from_array(ids.astype(np.int32))
        output = self.encoder.forward_batch(fed, ctranslate2.StorageView.from_array(lengths))
        return np.array(output.pooler_output) @ self.weight.T + self.bias


def prepare(work):
    """Writes the checkpoint as one of BERT, where ERNIE's names are BERT's but for the first word, and converts it."""
    target = work / "ctranslate2"
    stored = target / "classifier.npz"
    if stored.is_file() and stored.stat().st_mtime > (work / "model/made.json").stat().st_mtime:
        return
    import model
    import torch
    import transformers

    ernie = model.without_task_ids(model.load(work, "eager"))
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act")
    names += ("max_position_embeddings", "type_vocab_size", "layer_norm_eps")
    # The converter asks for what transformers 5 no longer keeps in a config.
    kept = {n: getattr(ernie.config, n) for n in names} | {"position_embedding_type": "absolute"}
    bert = transformers.BertModel(transformers.BertConfig(**kept)).eval()
    weights = {name: w for name, w in ernie.ernie.state_dict().items() if "task_type" not in name}
    bert.load_state_dict(weights)
    folder = work / "ctranslate2-bert"
    bert.save_pretrained(folder)
    (folder / "vocab.txt").write_bytes((work / "model/vocab.txt").read_bytes())
    (folder / "tokenizer_config.json").write_bytes((work / "model/tokenizer_config.json").read_bytes())
    for precision, kind in KINDS.items():
        converter = ctranslate2.converters.TransformersConverter(str(folder))
        converter.convert(str(target / precision), quantization=kind, force=True)
    shutil.rmtree(folder)
    with torch.no_grad():
        np.savez(stored, weight=ernie.classifier.weight.numpy(), bias=ernie.classifier.bias.numpy())


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
