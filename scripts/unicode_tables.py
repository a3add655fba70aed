#!/usr/bin/env python3.11
"""Writes src/tokenize/unicode_tables.rs.

The references run on Python 3.11, whose tables are Unicode 14.0: categories, str.lower and the normal forms come
from this interpreter. What the fast tokenizer of Hugging Face does differently (its Rust crates hold older tables)
is measured from the `tokenizers` package itself, character by character.

Usage, in an environment with `tokenizers` 0.22 or newer:  python3.11 scripts/unicode_tables.py
"""
import pathlib
import sys
import unicodedata

from tokenizers import normalizers, pre_tokenizers

OUT = pathlib.Path(__file__).resolve().parent.parent / "src/tokenize/unicode_tables.rs"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
HANGUL = range(0xAC00, 0xAC00 + 11172)


def ranges(predicate):
    """Inclusive ranges of the code points that satisfy the predicate; surrogates neither end nor start one."""
    found = []
    for c in POINTS:
        if predicate(c):
            if found and (found[-1][1] == c - 1 or (found[-1][1], c) == (0xD7FF, 0xE000)):
                found[-1][1] = c
            else:
                found.append([c, c])
    return found


def rows(items, per_line):
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "".join(f"    {line},\n" for line in lines)


def range_table(name, doc, predicate):
    items = [f"(0x{a:X}, 0x{b:X})" for a, b in ranges(predicate)]
    return f"/// {doc}\npub(super) static {name}: &[(u32, u32)] = &[\n{rows(items, 6)}];\n\n"


def category(c):
    return unicodedata.category(chr(c))


def lower_table():
    """Runs (first, last, step, delta) of characters whose lower case is one character, and the one exception."""
    runs, special = [], []
    for c in POINTS:
        low = chr(c).lower()
        if len(low) != 1:
            special.append(c)
        elif ord(low) != c:
            delta = ord(low) - c
            if runs and runs[-1][3] == delta:
                first, last, step, _ = runs[-1]
                gap = c - last
                if gap in (1, 2) and (step == gap or first == last):
                    runs[-1] = [first, c, gap, delta]
                    continue
            runs.append([c, c, 1, delta])
    assert special == [0x130], special
    items = [f"(0x{a:X}, 0x{b:X}, {s}, {d})" for a, b, s, d in runs]
    return (
        "/// `str.lower` of single characters: (first, last, step, what is added). U+0130, which becomes two characters,\n"
        "/// is not here.\n"
        f"pub(super) static LOWER: &[(u32, u32, u32, i32)] = &[\n{rows(items, 4)}];\n\n"
    )


def decomposition_tables(fast_nfd):
    keys, ends, text, not_fast = [], [], "", []
    for c in POINTS:
        nfd = unicodedata.normalize("NFD", chr(c))
        if c in HANGUL or nfd == chr(c):
            assert c in HANGUL or fast_nfd(c) == chr(c)
            continue
        if fast_nfd(c) != nfd:
            assert fast_nfd(c) == chr(c), hex(c)
            not_fast.append(c)
        text += nfd
        keys.append(c)
        ends.append(len(text.encode()))
    assert ends[-1] < 65536
    escaped = "".join(f"\\u{{{ord(c):x}}}" for c in text)
    lines, line = [], ""
    for part in escaped.replace("}", "} ").split():
        if len(line) + len(part) > 112:
            lines.append(line)
            line = ""
        line += part
    lines.append(line)
    body = "\\\n    ".join(lines)
    return (
        "/// Characters with a canonical decomposition, Hangul syllables left out.\n"
        f"pub(super) static NFD_KEYS: &[u32] = &[\n{rows([f'0x{k:X}' for k in keys], 12)}];\n\n"
        "/// Where the decomposition of each of [`NFD_KEYS`] ends in [`NFD_TEXT`]; it begins where the one before ends.\n"
        f"pub(super) static NFD_ENDS: &[u16] = &[\n{rows([str(e) for e in ends], 18)}];\n\n"
        "/// The full canonical decompositions, one after another.\n"
        f'pub(super) static NFD_TEXT: &str = "\\\n    {body}";\n\n'
        "/// Those of [`NFD_KEYS`] that the fast tokenizer leaves alone.\n"
        f"pub(super) static FAST_NOT_DECOMPOSED: &[u32] = &[\n{rows([f'0x{k:X}' for k in not_fast], 12)}];\n\n"
    )


def composition_table():
    pairs = []
    for c in POINTS:
        parts = unicodedata.decomposition(chr(c)).split()
        if c in HANGUL or len(parts) != 2 or parts[0].startswith("<"):
            continue
        if unicodedata.normalize("NFC", chr(c)) == chr(c):
            pairs.append((int(parts[0], 16), int(parts[1], 16), c))
    items = [f"(0x{a:X}, 0x{b:X}, 0x{c:X})" for a, b, c in sorted(pairs)]
    return (
        "/// Canonical compositions (first, second, composed), sorted; Hangul left out.\n"
        f"pub(super) static COMPOSED: &[(u32, u32, u32)] = &[\n{rows(items, 4)}];\n\n"
    ), {b for _, b, _ in pairs}


def ccc_table():
    found = []
    for c in POINTS:
        value = unicodedata.combining(chr(c))
        if value and found and found[-1][1] == c - 1 and found[-1][2] == value:
            found[-1][1] = c
        elif value:
            found.append([c, c, value])
    items = [f"(0x{a:X}, 0x{b:X}, {v})" for a, b, v in found]
    return (
        "/// Canonical combining classes other than 0: (first, last, class).\n"
        f"pub(super) static COMBINING: &[(u32, u32, u8)] = &[\n{rows(items, 6)}];\n\n"
    )


def main():
    assert unicodedata.unidata_version == "14.0.0", "run this with Python 3.11"
    clean = normalizers.BertNormalizer(True, False, False, False).normalize_str
    strip = normalizers.BertNormalizer(False, False, True, False).normalize_str
    nfd = normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str

    composed, seconds = composition_table()
    jamo = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))

    def nfc_trigger(c):
        char = chr(c)
        return (
            unicodedata.normalize("NFC", char) != char or unicodedata.combining(char) or c in seconds or c in jamo
        )

    text = (
        "//! Unicode 14.0 tables of Python 3.11, and what the fast tokenizer of Hugging Face does differently.\n"
        "//!\n"
        "//! Generated by `scripts/unicode_tables.py`; do not edit.\n\n"
    )
    text += range_table("SPACE", "`str.isspace`, which is also `\\s` of Python's `re`.", lambda c: chr(c).isspace())
    text += range_table(
        "CONTROL",
        "Category C (unassigned code points too) without tab, line feed and carriage return.",
        lambda c: category(c)[0] == "C" and c not in (9, 10, 13),
    )
    text += range_table("MARK", "Category Mn.", lambda c: category(c) == "Mn")
    text += range_table("PUNCTUATION", "Category P.", lambda c: category(c)[0] == "P")
    text += range_table("SYMBOL", "Category S.", lambda c: category(c)[0] == "S")
    text += range_table("FAST_CONTROL", "What the fast tokenizer drops.", lambda c: clean(f"a{chr(c)}a") == "aa")
    text += range_table("FAST_SPACE", "What the fast tokenizer turns into a blank.", lambda c: clean(f"a{chr(c)}a") == "a a")
    text += range_table(
        "FAST_MARK", "What the fast tokenizer strips as an accent.", lambda c: strip(f"a{chr(c)}a") == "aa"
    )
    text += range_table(
        "FAST_PUNCTUATION",
        "What the fast tokenizer splits off as punctuation.",
        lambda c: len(split(f"a{chr(c)}a")) == 3,
    )
    text += range_table("DIGIT", "`str.isdigit`.", lambda c: chr(c).isdigit())
    # str.lower of a sigma asks for both: what stands before it is skipped, or ends a word.
    text += range_table("CASED", "Cased and not case-ignorable.", lambda c: f"{chr(c)}\u03a3".lower()[-1] == "\u03c2")
    text += range_table(
        "CASE_IGNORABLE",
        "Case-ignorable.",
        lambda c: f"a{chr(c)}\u03a3".lower()[-1] == "\u03c2" and f"{chr(c)}\u03a3".lower()[-1] != "\u03c2",
    )
    text += lower_table() + decomposition_tables(lambda c: nfd(chr(c))) + composed + ccc_table()
    text += range_table("NFC_TRIGGER", "Characters that can make a text differ from its NFC.", nfc_trigger)
    OUT.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    print(f"{OUT}: {len(text)} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
