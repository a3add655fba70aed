#!/usr/bin/env python3
"""Writes src/tokenize/jieba_hmm.bin: the hidden Markov model of jieba 0.42.1 with all its digits.

The model in the jieba-rs crate is rounded to six digits, which cuts a few words in a million otherwise.

Layout, little-endian: start probabilities of B, E, M, S (4 x f64), transitions from each to each (16 x f64), then for each
state a u32 number of characters, and for each of them its code point (u16) and probability (f64), by code point.

Usage, in an environment with jieba 0.42.1:  python3 scripts/jieba_hmm.py
"""
import pathlib
import struct

import jieba
from jieba.finalseg import MIN_FLOAT, emit_P, start_P, trans_P

OUT = pathlib.Path(__file__).resolve().parent.parent / "src/tokenize/jieba_hmm.bin"
STATES = "BEMS"


def main():
    assert jieba.__version__ == "0.42.1", jieba.__version__
    data = b"".join(struct.pack("<d", start_P[state]) for state in STATES)
    for state in STATES:
        data += b"".join(struct.pack("<d", trans_P[state].get(other, MIN_FLOAT)) for other in STATES)
    for state in STATES:
        entries = sorted((ord(char), probability) for char, probability in emit_P[state].items())
        data += struct.pack("<I", len(entries))
        data += b"".join(struct.pack("<Hd", code, probability) for code, probability in entries)
    OUT.write_bytes(data)
    print(f"{OUT}: {len(data)} bytes")


if __name__ == "__main__":
    main()
