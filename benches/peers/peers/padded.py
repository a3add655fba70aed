"""What engines that take padded batches of token ids share: the tokenizer, and three ways of making batches."""

import numpy as np
from tokenizers import BertWordPieceTokenizer

from workloads import BATCH, MAX_TOKENS


class Padded:
    """Tokenizes with the `tokenizers` crate and pads each batch to its longest text. `forward` is the engine's."""

    modes = ("padded", "sorted", "single")
    caller_modes = ("direct", "queue")

    def open_tokenizer(self, work):
        self.tokenizer = BertWordPieceTokenizer(str(work / "model/vocab.txt"), lowercase=True)
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def forward(self, ids, mask):
        """Logits `[n, labels]` of token ids `[n, longest]` (int64, 0 = padding) and their mask."""
        raise NotImplementedError

    def batch(self, encodings):
        longest = max(len(ids) for ids in encodings)
        ids = np.zeros((len(encodings), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(encodings):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        return self.forward(ids, mask)

    def encode(self, texts):
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]

    def one(self, text):
        return self.batch([self.tokenizer.encode(text).ids])[0]

    def classify(self, texts, mode):
        if mode == "single":
            return [self.one(text) for text in texts]
        if mode == "padded":
            parts = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
            return [row for part in parts for row in self.batch(self.encode(part))]
        encodings = self.encode(texts)
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i]))
        logits = [None] * len(texts)
        for at in range(0, len(order), BATCH):
            part = order[at : at + BATCH]
            for i, row in zip(part, self.batch([encodings[i] for i in part])):
                logits[i] = row
        return logits

    def token_ids(self, texts):
        return self.encode(texts)

    def callers(self, mode):
        """What concurrent callers share: the engine itself, unless it has another way of serving them."""
        return self
