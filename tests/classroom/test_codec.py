"""Values that come from a process that isn't trusted."""

from __future__ import annotations

import math
import pickle
import random
import struct

import numpy as np
import pytest
import torch

from bigmodel_nb.classroom.codec import Opaque, Unreadable, decode, encode
from bigmodel_nb.exercises.engine.compare import compare

VALUES = [
    None, True, -(10**30), 0.1, -0.0, math.inf, 2 + 3j, "\ud800 a\n", b"\x00\xff", [], (1, (2.5, None)), {"a": [1], 2: {3}}, frozenset({1}),
    np.arange(6).reshape(2, 3), np.zeros((0, 4)), np.float32(0.1), np.array(3), np.array([True]), np.asfortranarray(np.eye(3)), np.arange(9)[::-2],
    torch.arange(6).view(2, 3).T, torch.zeros(0), torch.tensor(1.5), torch.ones(2, dtype=torch.bfloat16), torch.tensor([True, False]),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{str(value)[:20]!r}")
def test_there_and_back(value):
    back = decode(encode(value))
    assert type(back) is type(value) and (back == value if isinstance(value, complex) else compare(back, value) is None)
    if isinstance(value, (np.ndarray, torch.Tensor)):
        assert back.dtype == value.dtype and back.shape == value.shape
    if isinstance(value, float):
        assert math.copysign(1, back) == math.copysign(1, value)


def test_nan_and_gradients():
    assert math.isnan(decode(encode(float("nan")))) and decode(encode(torch.ones(2, requires_grad=True))).requires_grad


@pytest.mark.parametrize("value", [object(), len, np.array([object()]), np.array(["a"]), type, 1 << 20000], ids=lambda value: type(value).__name__)
def test_anything_else_is_opaque(value):
    back = decode(encode([value]))[0]
    assert isinstance(back, Opaque) and back != value


def test_a_value_that_holds_itself_ends():
    loop = []
    loop.append(loop)
    assert "too deep" in repr(decode(encode(loop)))


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("data", [b"", b"x", pickle.dumps(Evil()), struct.pack("<Q", 3) + b"[1]", struct.pack("<Q", 2**60), struct.pack("<Q", 12) + b'["tensor",1]'])
def test_other_bytes_are_refused(data, capsys):
    with pytest.raises(Unreadable):
        decode(data)
    assert capsys.readouterr().out == ""


def test_parts_outside_of_the_message_and_odd_types_are_refused():
    def message(text):
        return struct.pack("<Q", len(text)) + text.encode()

    for text in ['["bytes",[0,5]]', '["bytes",[-1,0]]', '["array","O",[1],[0,0]]', '["array","<f8",[-1,-1],[0,0]]', '["tensor","load",[1],false,[0,0]]',
                 '["float","9"*9]', '["dict",[["list"],null]]', '["int","1e5"]', "[[[[[]]]]]"]:  # fmt: skip
        with pytest.raises(Unreadable):
            decode(message(text))


def test_damage_is_refused_or_gives_a_plain_value():
    good, rng = encode({"a": [np.arange(20), "text", 2.5], "b": (None, torch.ones(3))}), random.Random(0)
    for _ in range(2000):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            decode(bytes(bad))
        except Unreadable:
            pass
