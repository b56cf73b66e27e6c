"""Is a learner's result the expected one, and where does it first differ?

NumPy arrays, torch tensors, numbers, sequences and dicts. torch is looked at only if it is loaded.
"""

from __future__ import annotations

import math
import numbers
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Relative tolerance; the absolute one is a tenth of it.
TOLERANCE = {"float16": 1e-2, "bfloat16": 2e-2, "float32": 1e-4, "float64": 1e-6, "float": 1e-5}
ACCELERATOR_FACTOR = 10  # matrix products on a GPU round more coarsely


@dataclass(frozen=True)
class Difference:
    """The first place where two results differ; `text` is a sentence for the learner."""

    kind: str  # "type", "length", "keys", "shape", "dtype", "value"
    text: str


def is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_array(value: Any) -> np.ndarray:
    """A tensor or anything array-like as a NumPy array (bfloat16 as float32)."""
    if is_tensor(value):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return value.resolve_conj().resolve_neg().numpy()
    return np.asarray(value)


def dtype_name(value: Any) -> str:
    """'float32', 'int64', ...; 'float' for a Python float."""
    if hasattr(value, "dtype"):
        return str(value.dtype).removeprefix("torch.")
    return type(value).__name__


def tolerance(got: Any, expected: Any) -> float:
    """Relative tolerance for two numbers, arrays or tensors: the coarser of their dtypes,
    ten times that on an accelerator, 0 for whole numbers."""
    values = (got, expected)
    exact = max(TOLERANCE.get(dtype_name(value), 0.0) for value in values)
    devices = {value.device.type for value in values if is_tensor(value)}
    return exact * (ACCELERATOR_FACTOR if devices - {"cpu"} else 1)


def compare(got: Any, expected: Any, names: tuple[str, ...] = (), place: str = "") -> Difference | None:
    """None if `got` is what was expected, else the first difference.

    names: names of the items where the expected result is a tuple.
    place: how to call the value in the text; "" for the whole result.
    """
    if isinstance(expected, Mapping):
        return _compare_mapping(got, expected, place)
    if isinstance(expected, (list, tuple)):
        return _compare_sequence(got, expected, names, place)
    if is_tensor(expected) or isinstance(expected, np.ndarray):
        return _compare_array(got, expected, place)
    if isinstance(expected, (bool, np.bool_)):
        return _compare_truth(got, expected, place)
    if isinstance(expected, numbers.Number):
        return _compare_number(got, expected, place)
    if type(got) is not type(expected):
        return _type_difference(got, type_name(expected), place)
    if got != expected:
        return Difference("value", f"{_subject(place)} {_is(place)} {got!r}; expected {expected!r}.")
    return None


def _compare_mapping(got, expected, place) -> Difference | None:
    if not isinstance(got, Mapping):
        return _type_difference(got, "dict", place)
    for key in expected:
        if key not in got:
            return Difference("keys", f"{_subject(place)} {_has(place)} no key {key!r}.")
    for key in got:
        if key not in expected:
            return Difference("keys", f"{_subject(place)} {_has(place)} a key too many: {key!r}.")
    return _first(compare(got[k], expected[k], (), f"{place or 'result'}[{k!r}]") for k in expected)


def _compare_sequence(got, expected, names, place) -> Difference | None:
    if not _stands_for(got, expected, place):
        return _type_difference(got, type_name(expected), place)
    if len(got) != len(expected):
        items = "1 item" if len(got) == 1 else f"{len(got)} items"
        text = f"{_subject(place)} {_has(place)} {items}{_shown(got)}; expected {len(expected)}."
        return Difference("length", text)
    places = names if len(names) == len(expected) else [
        f"{place or 'result'}[{i}]" for i in range(len(expected))
    ]
    return _first(compare(g, e, (), p) for g, e, p in zip(got, expected, places))


def _stands_for(got, expected, place) -> bool:
    """For a whole result, a list of as many items may stand for a tuple: taken apart, they are the same."""
    if not place and isinstance(expected, tuple) and isinstance(got, list):
        return len(got) == len(expected)
    return type(got) is type(expected) or _both(tuple, got, expected)


def _compare_array(got, expected, place) -> Difference | None:
    if is_tensor(got) != is_tensor(expected) or not (is_tensor(got) or isinstance(got, np.ndarray)):
        return _type_difference(got, type_name(expected), place)
    subject = f"{_subject(place)} {_has(place)}"
    if tuple(got.shape) != tuple(expected.shape):
        text = f"{subject} shape {tuple(got.shape)}; expected {tuple(expected.shape)}."
        return Difference("shape", text)
    if dtype_name(got) != dtype_name(expected):
        text = f"{subject} dtype {dtype_name(got)}; expected {dtype_name(expected)}."
        return Difference("dtype", text)
    return _compare_values(got, expected, place)


def _compare_values(got, expected, place) -> Difference | None:
    limit = tolerance(got, expected)
    a, b = to_array(got), to_array(expected)
    wrong = ~close(a, b, limit)
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    spot = f"{place or 'result'}[{', '.join(map(str, where))}]" if where else f"{place or 'it'}"
    mine, right = _two(a[where], b[where])
    right_shape = f"{_subject(place)} {_has(place)} the right shape {a.shape}, but {spot}" if where else _subject(place)
    count = f"{int(wrong.sum())} of {wrong.size} values differ; " if wrong.size > 1 else ""
    text = f"{right_shape} {'is' if where else _is(place)} {mine}; expected {right} ({count}{_compared(limit)})."
    return Difference("value", text)


def _compare_truth(got, expected, place) -> Difference | None:
    if not isinstance(got, (bool, np.bool_)):
        return _type_difference(got, "bool", place)
    if bool(got) == bool(expected):
        return None
    return Difference("value", f"{_subject(place)} {_is(place)} {bool(got)}; expected {bool(expected)}.")


def _compare_number(got, expected, place) -> Difference | None:
    whole = isinstance(expected, numbers.Integral)
    wanted = numbers.Integral if whole else numbers.Real
    if not isinstance(got, wanted) or isinstance(got, (bool, np.bool_)):
        return _type_difference(got, type_name(expected), place)
    limit = 0.0 if whole else max(TOLERANCE["float"], tolerance(got, expected))
    if whole and int(got) == expected or not whole and close(float(got), float(expected), limit):
        return None
    mine, right = _two(got, expected)
    return Difference("value", f"{_subject(place)} {_is(place)} {mine}; expected {right} ({_compared(limit)}).")


def close(a, b, limit: float) -> np.ndarray:
    """Elementwise equality within a relative `limit` (absolute: a tenth of it); NaN equals NaN."""
    if limit == 0:
        return np.asarray(a == b)
    return np.isclose(a, b, rtol=limit, atol=limit / 10, equal_nan=True)


def alike(a: Any, b: Any, limit: float = 1e-4) -> bool:
    """Do two results hold the same values? Their types and dtypes don't matter: a list of lists
    is like an array."""
    return _alike(_canonical(a), _canonical(b), limit)


def _alike(a, b, limit) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and bool(close(a, b, limit).all())
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[k], b[k], limit) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_alike(x, y, limit) for x, y in zip(a, b))
    return type(a) is type(b) and not isinstance(a, (np.ndarray, dict, list)) and a == b


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_canonical(item) for item in value]
        same = items and all(isinstance(i, np.ndarray) and i.shape == items[0].shape for i in items)
        return np.stack(items) if same else items
    if is_tensor(value) or isinstance(value, (np.ndarray, np.generic, numbers.Real)):
        array = to_array(value)
        return array.astype(np.float64) if array.dtype.kind in "biuf" else array.tolist()
    return value if isinstance(value, (str, bytes, type(None))) else type_name(value)


# Words


def type_name(value: Any) -> str:
    """'numpy array', 'torch tensor', else the name of the type."""
    if is_tensor(value):
        return "torch tensor"
    if isinstance(value, np.ndarray):
        return "numpy array"
    return type(value).__name__


def _type_difference(got, wanted: str, place: str) -> Difference:
    if got is None:
        text = f"{_subject(place)} {_is(place)} None; expected a {wanted}. Is a `return` missing?"
    else:
        text = f"{_subject(place)} {_is(place)} a {type_name(got)}; expected a {wanted}."
    return Difference("type", text.replace(" a int", " an int"))


def _subject(place: str) -> str:
    return f"Your {place}" if place else "Your result"


def _is(place: str) -> str:
    return "are" if _plural(place) else "is"


def _has(place: str) -> str:
    return "have" if _plural(place) else "has"


def _plural(place: str) -> bool:
    """'labels' and 'calls of fn', but not 'loss', 'result' or 'list of waits'."""
    return re.match(r"[a-z]+[^s\W]s( |$)", place) is not None


def _shown(got) -> str:
    """What came, if it is short and plain."""
    text = repr(got)
    return f", {text}" if len(text) <= 80 and "array(" not in text and "tensor(" not in text else ""


def _compared(limit: float) -> str:
    return f"relative tolerance {limit:g}" if limit else "compared exactly"


def _two(mine: Any, right: Any) -> tuple[str, str]:
    """Both numbers with as many digits as it takes to tell them apart."""
    texts = tuple(_number(value, 6) for value in (mine, right))
    return texts if texts[0] != texts[1] else (_number(mine, 17), _number(right, 17))


def _number(value: Any, digits: int) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}" if abs(int(value)) >= 10_000 else str(int(value))
    number = float(value)
    return f"{number:.{digits}g}" if math.isfinite(number) else str(number)


def _both(kind, *values) -> bool:
    return all(isinstance(value, kind) for value in values)


def _first(differences):
    return next((difference for difference in differences if difference), None)
