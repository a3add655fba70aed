"""Times jieba and SentencePiece on texts: one line `name seconds` for each reference, best of the rounds. `ernie-m` is
SentencePiece alone, `ernie-m-split` with the splitting of pieces that the scheme adds, in Python as its reference has it.

Usage: reference_tokenizers.py TEXTS TINY_MODEL ERNIE_M_MODEL ROUNDS   (TEXTS: one text a line)
"""
import logging
import sys
import time

import jieba
import sentencepiece


PUNCTUATION = frozenset(",;:.?!~，；：。？！《》【】")


def split(pieces):
    """Cuts pieces at ideographs, punctuation and where digits begin or end."""
    parts = []
    for piece in pieces:
        start, after_digit = 0, False
        for at, char in enumerate(piece):
            digit = char.isdigit()
            if "\u4e00" <= char <= "\u9fff" or char in PUNCTUATION:
                parts.append(piece[start:at])
                parts.append(char)
                start = at + 1
            elif at and digit != after_digit and char != "\u2581":
                parts.append(piece[start:at])
                start = at
            after_digit = digit
        parts.append(piece[start:])
    return [part for part in parts if part and part != "\u2581"]


def main():
    path, tiny_path, ernie_m_path, rounds = sys.argv[1:]
    jieba.setLogLevel(logging.ERROR)
    jieba.initialize()
    texts = open(path, encoding="utf-8", newline="").read().split("\n")
    tiny = sentencepiece.SentencePieceProcessor(model_file=tiny_path)
    ernie_m = sentencepiece.SentencePieceProcessor(model_file=ernie_m_path)

    def run_tiny(text):
        for word in jieba.cut(text.lower()):
            tiny.encode_as_pieces(word)

    def run_split(text):
        split(ernie_m.encode_as_pieces(text))

    for name, run in [("ernie-tiny", run_tiny), ("ernie-m", ernie_m.encode_as_pieces), ("ernie-m-split", run_split)]:
        best = float("inf")
        for _ in range(int(rounds)):
            start = time.perf_counter()
            for text in texts:
                run(text)
            best = min(best, time.perf_counter() - start)
        print(name, best)


main()
