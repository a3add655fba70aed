#!/usr/bin/env python3
"""Makes tests/fixtures/tokenizers: small SentencePiece models with the tokens that the references give for hard texts.

ernie_m     as PaddleNLP keeps it: sentencepiece.bpe.model, vocab.txt, tokenizer_config.json
ernie_tiny  as paddle-ernie keeps it: ernie_config.json, vocab.txt, subword/spm_cased_simp_sampled.model

expected.jsonl holds a text a line with the tokens of both: those of ernie-m are SentencePiece's pieces, split as PaddleNLP
and as Hugging Face do it (written down anew here); those of ernie-tiny SentencePiece's pieces of jieba's words. The checkpoint ernie_m beside this folder gets the first of these models.

Usage, in an environment with jieba 0.42.1 and sentencepiece 0.2.3:  python3 scripts/make_tokenizers.py tests/fixtures/tokenizers
"""

import io
import json
import logging
import random
import sys
from pathlib import Path

import jieba
import sentencepiece

SENTENCES = [
    "今天天气很好，我们去公园散步。", "房间很干净，服务也好！", "这本书写得很精彩，值得一读。", "早餐太差了，再也不会来。",
    "物流很快，包装完好。", "The quick brown fox jumps over the lazy dog.", "She sells sea shells by the sea shore.",
    "北京是中国的首都，上海是最大的城市。", "一共有12个苹果和345个梨，价格是6.78元。", "Hello, world! How are you today?",
    "机器学习和自然语言处理是人工智能的分支。", "The price is 1,234.56 dollars; isn't it?", "电影《流浪地球》于2019年上映。",
    "他说：“明天见？”然后离开了。", "Tokenizers split texts into words and pieces.", "清华大学和北京大学都在海淀区。",
]
# From, to; the same in both directions of time: what NFKC does to a few characters, and an accent put together.
RULES = [("ｈ", "h"), ("，", ","), ("！", "!"), ("\u3000", " "), ("\t", " "), ("ﬁ", "fi"), ("㍿", "株式会社"), ("e\u0301", "é"),
         ("\u200b", " "), ("５", "5"), ("Ａ", "A"), ("①", "1"), ("…", "...")]
PUNCTUATION = ",;:.?!~，；：。？！《》【】"
SPACE = "\u2581"


def train(folder, size, lower):
    rules = folder / "rules.tsv"
    code = lambda text: " ".join(f"{ord(c):X}" for c in text)
    rules.write_text("".join(f"{code(a)}\t{code(b)}\n" for a, b in RULES), encoding="utf-8")
    model = io.BytesIO()
    texts = [text.lower() for text in SENTENCES] if lower else SENTENCES
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 20), model_writer=model, vocab_size=size, model_type="unigram",
        character_coverage=1.0, normalization_rule_tsv=str(rules), minloglevel=2, num_threads=1,
        hard_vocab_limit=False, bos_id=-1, eos_id=-1)
    rules.unlink()
    return model.getvalue()


def split(pieces, keeps_space):
    """What `ErnieMTokenizer` does to pieces; Hugging Face's keeps some marks for blanks."""
    parts = []
    for number, piece in enumerate(pieces):
        if piece == SPACE:
            if keeps_space and number and not pieces[number + 1].startswith(SPACE):
                parts.append(piece)
            continue
        start = 0
        for at, char in enumerate(piece):
            if char == SPACE:
                continue
            alone = "\u4e00" <= char <= "\u9fff" or char in PUNCTUATION
            change = at > 0 and char.isdigit() != piece[at - 1].isdigit()
            if alone or change:
                if at > start and piece[start:at] != SPACE:
                    parts.append(piece[start:at])
                start = at
            if alone:
                parts.append(char)
                start = at + 1
        if len(piece) > start:
            parts.append(piece[start:])
    return parts


def texts():
    chosen = list(SENTENCES) + ["", " ", "\u3000\t ", "a", SPACE, SPACE + "a" + SPACE, "7" * 60, "ﬁne café cafe\u0301", "㍿の①…",
              "ΟΔΟΣ ΟΔΟΣ.", "İstanbul", "ＡＢ５５ｈｈ", "1.2.3-4_5%", "C++和c#，B超！", "\r\n\x1c\x85\u2028x", "👩\u200d👩 emoji",
              "\u200bx\u200b\u200by", "x" * 120, "中" * 70, "𠀀㐀龥鿖", "２０１９-01-12", "a\x00b", "\ufeffx\ufffd"]
    random.seed(3)
    pool = list("".join(SENTENCES)) + [a for a, _ in RULES] + list("  .-,123abcABCσΣé…")
    chosen += ["".join(random.choice(pool) for _ in range(random.randint(1, 40))) for _ in range(120)]
    return chosen


def main():
    root = Path(sys.argv[1])
    jieba.setLogLevel(logging.ERROR)
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    models = {}
    for name, size, lower in [("ernie_m", 420, False), ("ernie_tiny", 400, True)]:
        folder = root / name
        (folder / "subword").mkdir(parents=True, exist_ok=True)
        data = train(folder, size, lower)
        file = folder / "sentencepiece.bpe.model" if name == "ernie_m" else folder / "subword/spm_cased_simp_sampled.model"
        file.write_bytes(data)
        if name == "ernie_m":
            (folder / "subword").rmdir()
        model = models[name] = sentencepiece.SentencePieceProcessor(model_proto=data)
        pieces = [model.id_to_piece(i) for i in range(model.get_piece_size()) if not model.is_unknown(i)]
        # Characters that pieces are split into have entries of their own; a few pieces have none.
        characters = sorted({c for piece in pieces for c in piece} - set(pieces))
        tokens = special + pieces[: len(pieces) - 9] + characters + ["[MASK]"]
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (root / "ernie_m/tokenizer_config.json").write_text('{"tokenizer_class": "ErnieMTokenizer", "do_lower_case": false}\n')
    (root / "ernie_tiny/ernie_config.json").write_text("{}\n")
    # The ERNIE-M checkpoint of the fixtures has this tokenizer too, with as many tokens as it has words.
    checkpoint = root.parent / "checkpoints/ernie_m"
    n_words = json.loads((checkpoint / "config.json").read_text())["vocab_size"]
    lines = (root / "ernie_m/vocab.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    (checkpoint / "vocab.txt").write_text("".join(lines[:n_words]), encoding="utf-8")
    (checkpoint / "sentencepiece.bpe.model").write_bytes((root / "ernie_m/sentencepiece.bpe.model").read_bytes())
    with open(root / "expected.jsonl", "w", encoding="utf-8") as out:
        for text in texts():
            pieces = models["ernie_m"].encode_as_pieces(text)
            words = list(jieba.cut(text.lower()))
            row = {"text": text, "ernie_m": split(pieces, False), "ernie_m_hf": split(pieces, True), "words": words,
                   "ernie_tiny": [piece for word in words for piece in models["ernie_tiny"].encode_as_pieces(word)]}
            out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
