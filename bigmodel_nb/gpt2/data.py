"""Text to training rows: encoding with checks, and packing into blocks."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from bigmodel_nb.errors import DataError

IGNORED = -100  # label that the loss leaves out, as in torch and transformers


def as_texts(texts: str | Iterable[str], what: str = "texts") -> list[str]:
    """A list of non-empty texts, from one text or several.

    >>> as_texts("one document")
    ['one document']
    """
    items = [texts] if isinstance(texts, str) else list(texts)
    for item in items:
        if not isinstance(item, str):
            raise DataError(f"{what} must be a str or a list of str; received {type(item).__name__}.")
    items = [item for item in items if item.strip()]
    if not items:
        raise DataError(f"{what} is empty: pass at least one text with some words in it.")
    return items


def encode(model, tokenizer, texts: str | Iterable[str], what: str = "texts") -> list[list[int]]:
    """Token ids of each text, checked to be inside the model's vocabulary."""
    documents = tokenizer(as_texts(texts, what), verbose=False, add_special_tokens=False)["input_ids"]
    check_ids((i for ids in documents for i in ids), model.config.vocab_size)
    return documents


def check_ids(ids: Iterable[int], vocab_size: int) -> None:
    """Raise DataError for a token id outside 0 .. vocab_size - 1."""
    ids = list(ids)
    if ids and not (0 <= min(ids) and max(ids) < vocab_size):
        bad = next(i for i in ids if not 0 <= i < vocab_size)
        raise DataError(
            f"token id {bad} is outside the model's vocabulary of {vocab_size} tokens: the tokenizer "
            "belongs to another model. Load both with one call, model, tokenizer = bn.load_gpt2(...)."
        )


def end_id(model, tokenizer) -> int:
    """The id of <|endoftext|>, which opens and closes every document."""
    eos = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else model.config.eos_token_id
    if eos is None:
        raise DataError("neither tokenizer nor model names an end-of-text token; set tokenizer.eos_token.")
    return int(eos)


def pack(documents: list[list[int]], block_size: int, eos_id: int):
    """Rows x, y (N, block_size) in which every token is predicted exactly once.

    The documents form one stream `eos d1 eos d2 ... eos`; y is x shifted by one. The last row is
    filled up with `eos_id` in x and `IGNORED` in y. Attention across documents is cut later, by
    `lean.document_mask`.

    >>> x, y = pack([[5, 6, 7], [8]], block_size=4, eos_id=0)
    >>> x.tolist(), y.tolist()
    ([[0, 5, 6, 7], [0, 8, 0, 0]], [[5, 6, 7, 0], [8, 0, -100, -100]])
    """
    stream = [eos_id]
    for ids in documents:
        stream += [*ids, eos_id]
    predicted = len(stream) - 1
    rows = -(-predicted // block_size)
    x = torch.full((rows * block_size,), eos_id, dtype=torch.long)
    y = torch.full((rows * block_size,), IGNORED, dtype=torch.long)
    x[:predicted] = torch.tensor(stream[:-1])
    y[:predicted] = torch.tensor(stream[1:])
    return x.view(rows, block_size), y.view(rows, block_size)
