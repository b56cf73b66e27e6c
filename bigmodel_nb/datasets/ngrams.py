"""Which passages of a text stand in the text that the pocket checkpoint was trained on.

The training text itself is not shipped. A Bloom filter of its n-grams is: it answers "certainly
not" or "almost certainly" for any n tokens, in a few megabytes (Bloom 1970).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigmodel_nb.errors import DataError

FILE = Path(__file__).with_name("tale_ngrams.safetensors")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def ngram_hashes(ids: Sequence[int], n: int) -> np.ndarray:
    """A 64-bit number for each n neighbours of `ids`, the same on every machine: uint64 (T - n + 1,).

    >>> len(ngram_hashes([5, 6, 7], 2)), len(ngram_hashes([5], 2))
    (2, 0)
    """
    ids = np.asarray(ids, dtype=np.uint64)
    count = max(0, len(ids) - n + 1)
    h = np.zeros(count, dtype=np.uint64)
    for i in range(n):
        h = h * _MULTIPLIER + ids[i : i + count] + np.uint64(1)
    return _mixed(h)


def _mixed(h: np.ndarray) -> np.ndarray:
    """Steele, Lea and Flood (2014): every bit of the result depends on every bit given."""
    h = (h ^ (h >> np.uint64(30))) * _MIX[0]
    h = (h ^ (h >> np.uint64(27))) * _MIX[1]
    return h ^ (h >> np.uint64(31))


@dataclass(frozen=True, repr=False)
class NGramFilter:
    """The n-grams of a text that begin at every `stride`-th token of a document, as a Bloom filter.

    A passage of n + stride - 1 tokens that was copied from the text holds at least one of them, so
    none escapes. Of n tokens that do not stand in the text, `false_positive_rate` are taken for known.
    """

    bits: np.ndarray  # uint8
    n: int
    stride: int
    hashes: int
    entries: int

    @classmethod
    def build(cls, documents: Iterable[Sequence[int]], n: int, stride: int, size: int) -> NGramFilter:
        """The filter of documents, lists of token ids, in `size` bytes."""
        found = [ngram_hashes(ids, n)[::stride] for ids in documents]
        known = np.unique(np.concatenate([np.empty(0, np.uint64), *found]))
        if not len(known):
            raise DataError(f"no document has {n} tokens or more: there is no {n}-gram to keep.")
        hashes = max(1, round(math.log(2) * 8 * size / len(known)))
        bits = np.zeros(8 * size, dtype=bool)
        for places in _places(known, hashes, 8 * size):
            bits[places] = True
        return cls(np.packbits(bits), n, stride, hashes, len(known))

    @classmethod
    def load(cls, file: str | Path) -> NGramFilter:
        """Read a filter that `save` wrote."""
        from safetensors import safe_open

        with safe_open(str(file), "np") as stored:
            about = {key: int(value) for key, value in stored.metadata().items()}
            return cls(stored.get_tensor("bits"), **about)

    def save(self, file: str | Path) -> None:
        """Write the filter as safetensors, its numbers as metadata."""
        from safetensors.numpy import save_file

        about = {key: str(getattr(self, key)) for key in ("n", "stride", "hashes", "entries")}
        save_file({"bits": self.bits}, str(file), metadata=about)
        Path(file).chmod(0o644)

    @property
    def false_positive_rate(self) -> float:
        """The share of unknown n-grams that are taken for known: all their bits happen to be set."""
        return float(np.unpackbits(self.bits).sum() / (8 * len(self.bits))) ** self.hashes

    def known(self, ids: Sequence[int]) -> np.ndarray:
        """For each n neighbours of `ids` whether the filter holds them: bool (T - n + 1,)."""
        h = ngram_hashes(ids, self.n)
        found = np.ones(len(h), dtype=bool)
        for places in _places(h, self.hashes, 8 * len(self.bits)):
            found &= (self.bits[places >> 3] >> (7 - (places & 7)).astype(np.uint8) & 1).astype(bool)
        return found

    def copied(self, ids: Sequence[int]) -> np.ndarray:
        """For each token of `ids` whether it stands in an n-gram that the filter holds: bool (T,)."""
        marked = np.zeros(len(ids), dtype=bool)
        for start in np.flatnonzero(self.known(ids)):
            marked[start : start + self.n] = True
        return marked

    def passages(self, ids: Sequence[int]) -> list[slice]:
        """Where in `ids` every token is `copied`, the longest passage first."""
        edges = np.diff(np.pad(self.copied(ids).astype(np.int8), 1))
        found = [slice(int(a), int(b)) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1))]
        return sorted(found, key=lambda it: it.start - it.stop)

    def longest(self, ids: Sequence[int]) -> int:
        """Tokens of the longest passage, 0 if there is none."""
        return max((it.stop - it.start for it in self.passages(ids)), default=0)

    def __repr__(self) -> str:
        return f"NGramFilter of {self.entries:,} {self.n}-grams, one in {self.stride}, in {len(self.bits) / 1e6:.1f} MB"


def _places(h: np.ndarray, hashes: int, size: int) -> Iterable[np.ndarray]:
    """The bits of each entry, one array for each hash function (Kirsch and Mitzenmacher 2006)."""
    step = _mixed(h ^ _MULTIPLIER) | np.uint64(1)
    for i in range(hashes):
        yield ((h + np.uint64(i) * step) % np.uint64(size)).astype(np.int64)


def tale_ngrams() -> NGramFilter:
    """The n-grams of all tales that the pocket checkpoint was trained on, in its tokens.

    >>> tale_ngrams().n
    8
    """
    return NGramFilter.load(FILE)
