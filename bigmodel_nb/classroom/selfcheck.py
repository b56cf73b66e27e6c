"""The checker that a variant of exercises carries along: it needs neither the course nor its solutions.

A result is right if its salted digest is the expected one. Numbers are rounded first, in steps that
are shifted so that no expected value lies near a step's edge: a right answer that was computed in
another order has the same digest. `class variant` copies this file as it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import numbers
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import codec

DATA = Path(__file__).with_name("data.json")
ROUNDS = 20_000  # of the digest: what is tried out to guess a result takes time
GROUP = 8  # numbers that share a shift
TOLERANCE = {"float16": 1e-2, "bfloat16": 2e-2, "float32": 1e-4, "float64": 1e-6, "float": 1e-4}
SLACK = 1.5  # nothing that the course's own comparison accepts may be refused here
SMALL = 0.1  # below it the tolerance is absolute


class Unsuitable(TypeError):
    """A result of a kind that has no digest."""


def exercise(id: str) -> Callable[[Any], Any]:
    """Decorator for a function: say on how many of the inputs it is right. It stays what it is.

    Raises KeyError for an id that the variant doesn't hold.
    """
    known = json.loads(DATA.read_text(encoding="utf-8"))["exercises"][id]

    def decorate(work: Any) -> Any:
        print(f"{id}: {report(id, known, work)}")
        return work

    return decorate


def inputs(id: str, number: int) -> tuple:
    """The arguments of an exercise's input, counted from 1."""
    return _arguments(json.loads(DATA.read_text(encoding="utf-8"))["exercises"][id][number - 1])


def report(id: str, known: list[dict], work: Callable) -> str:
    """One or two lines on what a function gives for the inputs of an exercise."""
    if not known:
        return "is checked when it is graded"
    wrong = [(number, why) for number, case in enumerate(known, 1) if (why := mistake(case, work))]
    if not wrong:
        return f"right on all {len(known)} inputs"
    (number, why), name = wrong[0], getattr(work, "__name__", "f")
    if len(wrong) == len(known) and why == NOTHING:
        return "not attempted"
    return f'right on {len(known) - len(wrong)} of {len(known)} inputs\n  {why}. See for yourself: {name}(*inputs("{id}", {number}))'


NOTHING = "it returns nothing"


def mistake(case: dict, work: Callable) -> str:
    """What is wrong with a function's result for an input; "" if nothing."""
    try:
        got = work(*_arguments(case))
    except NotImplementedError:
        return NOTHING
    except Exception as error:
        return f"it raises {type(error).__name__}: {error}"
    if isinstance(got, list) and case["form"].startswith("tuple("):  # taken apart, they are the same
        got = tuple(got)
    try:
        form, *_ = parts = leaves(got)
    except Unsuitable as error:
        form, parts = str(error), None
    if got is None and case["form"] != form:
        return NOTHING
    if form != case["form"]:
        return f"it returns {form}; expected {case['form']}"
    return "" if digest(parts, case["shifts"], case["salt"]) == case["digest"] else "its values are not the expected ones"


def _arguments(case: dict) -> tuple:
    return tuple(codec.decode(base64.b64decode(case["inputs"])))


def leaves(value: Any) -> tuple[str, list, list[tuple[np.ndarray, float]]]:
    """(form, exact parts, numbers to be rounded with their tolerance) of a result.

    >>> leaves((1, 2.5))[:2]
    ('tuple(int, float)', [1])
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        bare = value.detach().cpu()
        name = str(bare.dtype).removeprefix("torch.")
        return _array(f"tensor {name} {tuple(bare.shape)}", name, (bare.float() if name == "bfloat16" else bare).numpy())
    if isinstance(value, np.ndarray):
        return _array(f"array {value.dtype} {value.shape}", str(value.dtype), value)
    if isinstance(value, (bool, np.bool_)):
        return "bool", [bool(value)], []
    if isinstance(value, numbers.Integral):
        return "int", [int(value)], []
    if isinstance(value, numbers.Real):
        return "float", [], [(np.array([float(value)]), TOLERANCE["float"])]
    if value is None or isinstance(value, (str, bytes)):
        return type(value).__name__, [repr(value)], []
    if isinstance(value, dict):
        keys = sorted(value, key=repr)
        return _joined("dict", [value[key] for key in keys], [*map(_key, keys)])
    if isinstance(value, (list, tuple)):
        return _joined("tuple" if isinstance(value, tuple) else "list", list(value), [])
    raise Unsuitable(type(value).__name__)


def _array(form: str, dtype: str, array: np.ndarray) -> tuple[str, list, list]:
    if array.dtype.kind in "bui":
        return form, array.ravel().tolist(), []
    if dtype not in TOLERANCE:
        raise Unsuitable(form)
    return form, [], [(array.ravel().astype(np.float64), TOLERANCE[dtype])]


def _key(key: Any) -> str:
    return repr(int(key) if isinstance(key, numbers.Integral) else str(key) if isinstance(key, str) else key)


def _joined(kind: str, items: list, exact: list) -> tuple[str, list, list]:
    found = [leaves(item) for item in items]
    forms = [form for form, _, _ in found]
    same = f"{len(forms)} x {forms[0]}" if len(forms) > 3 and len(set(forms)) == 1 else ", ".join(forms)
    return f"{kind}({same})", exact + [it for _, some, _ in found for it in some], [it for _, _, some in found for it in some]


def shifts_of(parts: tuple) -> list[float]:
    """Where the steps begin, for each `GROUP` of numbers: in the middle of the widest gap that they leave."""
    found = []
    for steps in _groups(parts):
        rest = np.sort(steps[np.isfinite(steps)] % 1.0)
        gaps = np.diff(rest, append=rest[:1] + 1)
        found.append(round(float(rest[gaps.argmax()] + gaps.max() / 2) % 1.0, 3) if rest.size else 0.0)
    return found


def digest(parts: tuple, shifts: list[float], salt: str) -> str:
    """The salted digest of a result's leaves, numbers rounded."""
    return hashlib.pbkdf2_hmac("sha256", rounded(parts, shifts).encode(), salt.encode(), ROUNDS).hex()


def rounded(parts: tuple, shifts: list[float]) -> str:
    """A result's leaves as text, numbers rounded."""
    form, exact, _ = parts
    return json.dumps([form, exact, [_symbol(step, shift) for steps, shift in zip(_groups(parts), shifts) for step in steps]])


def _groups(parts: tuple) -> list[np.ndarray]:
    """All numbers of a result in groups, each number as a count of steps."""
    found = []
    for array, tolerance in parts[2]:
        step = 2 * SLACK * tolerance * (GROUP + 1)
        steps = np.arcsinh(array / SMALL) / step  # a step is relative for large numbers and absolute for small ones
        found += [steps[i : i + GROUP] for i in range(0, len(steps), GROUP)]
    return found


def _symbol(step: float, shift: float) -> int | str:
    return math.floor(step - shift) if math.isfinite(step) else str(float(step))
