"""Text as GPT-2's tokenizer takes it: cut into pieces, and a letter for every byte."""

from __future__ import annotations

from collections.abc import Sequence

import regex

# Radford et al. 2019: endings like 's, words, numbers and signs with one space before them, other space
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_VISIBLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_HIDDEN = tuple(b for b in range(256) if b not in _VISIBLE)
BYTE_ORDER = _VISIBLE + _HIDDEN  # the order of the first 256 entries of GPT-2's vocabulary
LETTERS = {b: chr(b) for b in _VISIBLE} | {b: chr(256 + n) for n, b in enumerate(_HIDDEN)}
BYTE_OF = {letter: b for b, letter in LETTERS.items()}


def cut(text: str, special_tokens: Sequence[str] = ()) -> list[tuple[str, bool]]:
    """Cut a text into pieces that no merge crosses -> [(piece, is it a special token), ...].

    Where two special tokens fit, the longer one is taken.

    >>> cut("The wolf's hut<|end|>", ["<|end|>"])
    [('The', False), (' wolf', False), ("'s", False), (' hut', False), ('<|end|>', True)]
    """
    longest_first = sorted(special_tokens, key=len, reverse=True)
    special = "|".join(map(regex.escape, longest_first)) or r"(?!)"  # (?!) matches nothing
    pieces = []
    for i, part in enumerate(regex.split(f"({special})", text)):
        if i % 2 == 1:
            pieces.append((part, True))
        else:
            pieces += [(piece, False) for piece in regex.findall(PATTERN, part)]
    return pieces


def to_letters(data: bytes) -> str:
    """Bytes as GPT-2's files write them, one letter a byte.

    >>> to_letters(b" wolf")
    'Ġwolf'
    """
    return "".join(LETTERS[b] for b in data)


def to_bytes(letters: str) -> bytes:
    """Undo `to_letters`.

    >>> to_bytes("Ġwolf")
    b' wolf'
    """
    return bytes(BYTE_OF[letter] for letter in letters)
