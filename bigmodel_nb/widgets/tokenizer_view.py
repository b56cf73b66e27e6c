"""The tokens of a text, the bytes under each, and the merges that made them.

The algorithm stands here and, for the browser, in tokenizer_view.js; tests compare the two.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import traitlets as t

from bigmodel_nb.bytelevel import BYTE_ORDER, LETTERS, cut, to_bytes, to_letters
from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

MOST = 1000  # characters of a text
BROWSER_BYTES = 100_000  # merges longer than this stay in the kernel
SIGNS = {" ": "\u2423", "\n": "\u21b5", "\t": "\u21e5", "\r": "\u240d"}
WIDTH, LINES, HEAD = 680, 4, 26
BOX, GAP = 52, 8


def steps(piece: str, ranks: Mapping[tuple[str, str], int]) -> tuple[list[list[str]], list[int]]:
    """Every state of a piece from its single letters to its tokens, and the merge before each.

    piece: letters as of `to_letters`; ranks: {pair of letters: place in the list of merges}

    >>> steps("then", {("h", "e"): 0, ("t", "he"): 1, ("e", "n"): 2})
    ([['t', 'h', 'e', 'n'], ['t', 'he', 'n'], ['the', 'n']], [0, 1])
    """
    states, merged = [list(piece)], []
    while known := [ranks[pair] for pair in zip(states[-1], states[-1][1:]) if pair in ranks]:
        merged.append(min(known))
        states.append(_merged(states[-1], merged[-1], ranks))
    return states, merged


def _merged(tokens: Sequence[str], rank: int, ranks: Mapping[tuple[str, str], int]) -> list[str]:
    out, free = [], False  # free: the last of `out` may still take part in a merge
    for token in tokens:
        if free and ranks.get((out[-1], token)) == rank:
            out[-1] += token
            free = False
        else:
            out.append(token)
            free = True
    return out


def spell(data: bytes) -> list[str | int]:
    """Whole characters as text, and every byte that belongs to none as a number.

    >>> spell("a\u72fc".encode()[:3])
    ['a', 231, 139]
    """
    parts: list[str | int] = []
    i = 0
    while i < len(data):
        for n in (1, 2, 3, 4):
            try:
                parts.append(data[i : i + n].decode())
                break
            except UnicodeDecodeError:
                continue
        else:
            n = 1
            parts.append(data[i])
        i += n
    return parts


def shown(part: str | int) -> str:
    """A part of `spell` as it is written: signs for space and ends of lines, hex for bytes.

    >>> shown(" "), shown(231), shown("\\x00")
    ('\u2423', 'E7', '\\\\x00')
    """
    if isinstance(part, int):
        return f"{part:02X}"
    control = unicodedata.category(part) in ("Cc", "Cf", "Zl", "Zp") or part.isspace()
    return SIGNS.get(part) or (f"\\x{ord(part):02x}" if control else part)


@dataclass(frozen=True)
class Table:
    """What it takes to tokenise: merges by rank, ids of tokens, special tokens, and how to cut."""

    ranks: Mapping[tuple[str, str], int]
    ids: Mapping[str, int]
    special: Mapping[str, int]
    pieces_of: Callable[[str], list[str]] | None = None  # None: GPT-2's pattern
    whole_first: bool = False  # a piece that is an entry needs no merges

    def pieces(self, text: str) -> list[dict]:
        """Each piece of a text: its states, the merges between them, its ids, whether it is special."""
        out = []
        for part, special in cut(text, list(self.special)) if self.pieces_of is None else self._parts(text):
            if special:
                out.append({"states": [[to_letters(part.encode())]], "merged": [], "ids": [self.special[part]], "special": True})
                continue
            states, merged = steps(part if self.pieces_of else to_letters(part.encode()), self.ranks)
            if self.whole_first and len(states[-1]) > 1 and "".join(states[-1]) in self.ids:
                states, merged = [*states, ["".join(states[-1])]], [*merged, -1]
            ids = [self.ids[token] for token in states[-1]]
            out.append({"states": states, "merged": merged, "ids": ids, "special": False})
        return out

    def _parts(self, text: str) -> list[tuple[str, bool]]:
        """As `cut`, by the tokenizer's own rules, with ordinary pieces in letters."""
        out: list[tuple[str, bool]] = []
        for part, special in _split_special(text, list(self.special)):
            out += [(part, True)] if special else [(piece, False) for piece in self.pieces_of(part)]
        return out

    @property
    def offset(self) -> int | None:
        """Id of the first byte if bytes and merges stand in their order one after the other, else None."""
        first = self.ids.get(LETTERS[BYTE_ORDER[0]])
        order = [LETTERS[b] for b in BYTE_ORDER] + [a + b for a, b in self.ranks]
        good = first is not None and all(self.ids.get(token) == first + i for i, token in enumerate(order))
        return first if good else None


def _split_special(text: str, special: list[str]) -> list[tuple[str, bool]]:
    """Ordinary text in one piece, special tokens apart."""
    out: list[tuple[str, bool]] = []
    for piece, mark in cut(text, special):
        if mark or not out or out[-1][1]:
            out.append((piece, mark))
        else:
            out[-1] = (out[-1][0] + piece, False)
    return out


def table_of(tokenizer) -> Table:
    """The table of a fast tokenizer; DataError unless it is byte-level BPE."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    try:
        saved = json.loads(backend.to_str())
    except AttributeError:
        raise DataError(
            f"TokenizerView takes a fast tokenizer of transformers or vocab= and merges=; got {type(tokenizer).__name__}."
        ) from None
    model, before = saved["model"], saved["pre_tokenizer"] or {}
    if model.get("type") != "BPE" or "ByteLevel" not in json.dumps(before):
        raise DataError(
            f"TokenizerView shows byte-level BPE, and this tokenizer is {model.get('type', 'of another kind')} without a "
            "ByteLevel pre-tokenizer. Take one of the GPT-2, RoBERTa, Llama 3 or Qwen families."
        )
    pairs = (tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"])
    plain = saved["normalizer"] is None and before.get("type") == "ByteLevel"
    plain = plain and before.get("use_regex", True) and not before["add_prefix_space"]

    def pieces_of(text: str) -> list[str]:
        normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
        return [letters for letters, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]

    return Table(
        ranks={pair: i for i, pair in enumerate(pairs)},
        ids=model["vocab"],
        special={token["content"]: token["id"] for token in saved["added_tokens"]},
        pieces_of=None if plain else pieces_of,
        whole_first=bool(model.get("ignore_merges")),
    )


class TokenizerView(CourseWidget):
    """Text to type in, its tokens with their ids and bytes, and each merge of a chosen token's piece.

    tokenizer: a fast byte-level BPE tokenizer of transformers, or in its place vocab {id: bytes} and
    merges [(bytes, bytes), ...] with GPT-2's pattern; special_tokens: list of str in that vocab;
    text: at most 1,000 characters. Small vocabularies are tokenised in the browser, others in the
    kernel. Errors: DataError for a tokenizer of another kind and for a text that is too long.
    """

    _esm = front_end("tokenizer_view")
    _css = style("tokenizer_view")

    text = t.Unicode().tag(sync=True)
    merges = t.Unicode().tag(sync=True)  # a line each, in letters; empty where the kernel tokenises
    offset = t.Int().tag(sync=True)
    special = t.Dict().tag(sync=True)
    local = t.Bool().tag(sync=True)
    entries = t.Int().tag(sync=True)
    result = t.Dict().tag(sync=True)  # {"text", "pieces"} where the kernel tokenises

    def __init__(
        self,
        tokenizer=None,
        text: str = "The wolf lives in the forest.",
        *,
        vocab: Mapping[int, bytes] | None = None,
        merges: Sequence[tuple[bytes, bytes]] | None = None,
        special_tokens: Sequence[str] = (),
    ) -> None:
        if not isinstance(text, str) or len(text) > MOST:
            raise DataError(f"text must be a str of at most {MOST:,} characters; {_received(text)}. Pass a part of it.")
        if (tokenizer is None) == (vocab is None or merges is None):
            raise DataError("Pass a tokenizer, or vocab= and merges= as bpe_train gives them; not both, and not neither.")
        self._table = table_of(tokenizer) if tokenizer is not None else _table(vocab, merges, special_tokens)
        lines = "\n".join(" ".join(pair) for pair in self._table.ranks)
        offset = self._table.offset if self._table.pieces_of is None and not self._table.whole_first else None
        local = offset is not None and len(lines.encode()) <= BROWSER_BYTES
        self._first = (text, self._table.pieces(text))
        super().__init__(
            text=text,
            merges=lines if local else "",
            offset=offset or 0,
            special=dict(self._table.special),
            local=local,
            entries=len(set(self._table.ids.values()) | set(self._table.special.values())),
            result={} if local else {"text": text, "pieces": self._first[1]},
        )
        self.observe(self._answer, "text")

    def _answer(self, change) -> None:
        if not self.local:
            self.result = {"text": self.text, "pieces": self._table.pieces(self.text[:MOST])}

    @property
    def tokens(self) -> list[bytes]:
        """The bytes of each token of the text as it stands now."""
        return [to_bytes(token) for piece in self._table.pieces(self.text) for token in piece["states"][-1]]

    def describe(self) -> str:
        text, pieces = self._first
        count = sum(len(piece["ids"]) for piece in pieces)
        size = f"{len(text)} characters, {len(text.encode())} bytes, {count} tokens"
        return f"TokenizerView of a vocabulary of {self.entries:,}: {size}"

    def picture(self) -> Picture:
        """The first lines of tokens, each with its text, its id and its bytes."""
        boxes, x, line, left = [], GAP, 0, 0
        tokens = [
            (token, number, place % 2)
            for place, piece in enumerate(self._first[1])
            for token, number in zip(piece["states"][-1], piece["ids"])
        ]
        for token, number, shade in tokens:
            width = _width(to_bytes(token), number)
            if x + width > WIDTH - GAP:
                x, line = GAP, line + 1
            if line >= LINES:
                left = len(tokens) - len(boxes)
                break
            boxes.append((x, line, width, token, number, shade))
            x += width + 2
        lines = boxes[-1][1] + 1 if boxes else 1
        picture = Picture(WIDTH, HEAD + lines * (BOX + GAP) + (20 if left else 4), self.describe())
        picture.text(GAP, 16, self.describe().partition(": ")[2], 12, FAINT)
        for box in boxes:
            _draw_token(picture, *box)
        if left:
            picture.text(GAP, picture.height - 8, f"and {left} more tokens", 12, FAINT)
        return picture


def _table(vocab: Mapping[int, bytes], merges: Sequence[tuple[bytes, bytes]], special_tokens: Sequence[str]) -> Table:
    """The table of a vocabulary and merges as `bpe_train` gives them."""
    number = {token: i for i, token in vocab.items()}
    missing = [mark for mark in special_tokens if mark.encode() not in number]
    if missing or not all(bytes([b]) in number for b in range(256)):
        lacks = f"{missing[0]!r}" if missing else "some of the 256 bytes"
        raise DataError(f"vocab has no entry for {lacks}; train it with bpe_train(text, vocab_size, special_tokens).")
    marks = {mark: number[mark.encode()] for mark in special_tokens}
    ids = {to_letters(token): i for token, i in number.items() if i not in marks.values()}
    return Table({(to_letters(a), to_letters(b)): i for i, (a, b) in enumerate(merges)}, ids, marks)


def _received(text) -> str:
    return f"it has {len(text):,}" if isinstance(text, str) else f"received {type(text).__name__}"


def _width(data: bytes, number: int) -> float:
    wide = sum(14 if unicodedata.east_asian_width(c) in "WF" else 8 for part in spell(data) for c in shown(part))
    return max(wide + 8, 15 * len(data) + 6, 7 * len(str(number)) + 10)


def _draw_token(picture: Picture, x: float, line: int, width: float, token: str, number: int, shade: int) -> None:
    data, top = to_bytes(token), HEAD + line * (BOX + GAP)
    half = any(isinstance(part, int) for part in spell(data))
    picture.rect(x, top, width, BOX, "#e8f1f8" if shade else "#f3f4f6", RED if half else GRID)
    text = "".join(shown(part) for part in spell(data))
    picture.text(x + width / 2, top + 17, text, 13, RED if half else INK, "middle")
    picture.text(x + width / 2, top + 32, str(number), 10, BLUE, "middle")
    left = x + width / 2 - 7.5 * len(data)
    for i, byte in enumerate(data):
        picture.text(left + 15 * i + 7.5, top + 46, f"{byte:02X}", 9, FAINT, "middle")
