"""PyTorch as transformers runs it: ErnieForSequenceClassification, eager, torch's fused attention, f32 and bf16."""

import torch
import transformers

from peers.padded import Padded


class Engine(Padded):
    def __init__(self, work, precision, threads):
        self.open_tokenizer(work)
        torch.set_num_threads(threads)
        transformers.utils.logging.disable_progress_bar()
        kinds = {"f32": torch.float32, "bf16": torch.bfloat16}
        self.model = transformers.ErnieForSequenceClassification.from_pretrained(
            work / "model", dtype=kinds[precision], attn_implementation="sdpa"
        ).eval()
        self.version = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"

    def forward(self, ids, mask):
        with torch.inference_mode():
            # Without padding no mask is given: attention without one is faster.
            given = None if mask.all() else torch.from_numpy(mask)
            return self.model(input_ids=torch.from_numpy(ids), attention_mask=given).logits.float().numpy()
