"""Values from a process that isn't trusted, as bytes: numbers, texts, arrays and what is made of them.

No pickle: whatever the other side sends, `decode` gives plain values or raises `Unreadable`.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np

MOST_BYTES = 256_000_000
DEEPEST = 50


class Unreadable(ValueError):
    """The bytes are no value of this code."""


class Opaque:
    """Stands for a value that can't travel; equal to nothing."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind}>"

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def encode(value: Any) -> bytes:
    """A value as bytes: its structure as JSON, then the arrays.

    >>> decode(encode({"a": (1, None, 2.5), "b": np.arange(3)}))
    {'a': (1, None, 2.5), 'b': array([0, 1, 2])}
    """
    blobs: list[bytes] = []
    text = json.dumps(_plain(value, blobs, 0)).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def _plain(value: Any, blobs: list[bytes], depth: int) -> Any:
    """A value as JSON: a list of its kind and its parts."""
    kind = type(value)
    if depth > DEEPEST:
        return ["opaque", "too deep"]
    if value is None or kind in (bool, str):
        return value if kind is not str else ["str", value.encode("utf-8", "surrogatepass").hex()]
    if kind is int:
        return ["int", str(value)] if value.bit_length() < 10_000 else ["opaque", "int"]
    if kind is float:
        return ["float", value.hex() if math.isfinite(value) else repr(value)]
    if kind is complex:
        return ["complex", _plain(value.real, blobs, depth), _plain(value.imag, blobs, depth)]
    if kind in (list, tuple):
        return [kind.__name__, *(_plain(item, blobs, depth + 1) for item in value)]
    if kind in (set, frozenset):
        return [kind.__name__, *(_plain(item, blobs, depth + 1) for item in sorted(value, key=repr))]
    if isinstance(value, dict):
        return ["dict", *([_plain(k, blobs, depth + 1), _plain(v, blobs, depth + 1)] for k, v in value.items())]
    if kind in (bytes, bytearray):
        return ["bytes", _blob(bytes(value), blobs)]
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        return ["array" if isinstance(value, np.ndarray) else "scalar", value.dtype.str, list(value.shape), _blob(np.asarray(value).tobytes(), blobs)]
    return _tensor(value, blobs) or ["opaque", kind.__name__[:60]]


def _tensor(value: Any, blobs: list[bytes]) -> list | None:
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return None
    bare = value.detach().cpu().contiguous()
    raw = bare.flatten().view(torch.uint8).numpy().tobytes() if bare.numel() else b""
    return ["tensor", str(bare.dtype).removeprefix("torch."), list(bare.shape), bool(value.requires_grad), _blob(raw, blobs)]


def _blob(data: bytes, blobs: list[bytes]) -> list[int]:
    start = sum(map(len, blobs))
    blobs.append(data)
    return [start, len(data)]


def decode(data: bytes) -> Any:
    """The value of `encode`'s bytes; `Unreadable` for any others."""
    try:
        size = struct.unpack_from("<Q", data)[0]
        return _value(json.loads(data[8 : 8 + size]), memoryview(data)[8 + size :])
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}"[:200]) from None


def _value(it: Any, blobs: memoryview) -> Any:
    if it is None or isinstance(it, bool):
        return it
    kind, *parts = it
    make = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}.get(kind)
    if make:
        return make(_value(part, blobs) for part in parts)
    if kind == "dict":
        return {_value(k, blobs): _value(v, blobs) for k, v in parts}
    if kind == "str":
        return bytes.fromhex(parts[0]).decode("utf-8", "surrogatepass")
    if kind == "int":
        return int(parts[0])
    if kind == "float":
        return float.fromhex(parts[0])
    if kind == "complex":
        return complex(_value(parts[0], blobs), _value(parts[1], blobs))
    if kind == "bytes":
        return bytes(_part(parts[0], blobs))
    if kind in ("array", "scalar"):
        dtype = np.dtype(parts[0])
        if dtype.kind not in "biufc":
            raise Unreadable(f"dtype {dtype}")
        array = np.frombuffer(_part(parts[2], blobs), dtype).reshape(parts[1]).copy()
        return array if kind == "array" else array[()]
    if kind == "tensor":
        return _to_tensor(*parts[:3], _part(parts[3], blobs))
    if kind == "opaque":
        return Opaque(str(parts[0])[:60])
    raise Unreadable(f"kind {kind!r}"[:80])


def _to_tensor(dtype: str, shape: list[int], requires_grad: bool, raw: memoryview) -> Any:
    import torch

    wanted = getattr(torch, dtype)
    if not isinstance(wanted, torch.dtype):
        raise Unreadable(f"dtype {dtype!r}"[:80])
    flat = torch.frombuffer(bytearray(raw), dtype=wanted) if len(raw) else torch.empty(0, dtype=wanted)
    return flat.reshape(shape).requires_grad_(bool(requires_grad))


def _part(place: list[int], blobs: memoryview) -> memoryview:
    start, size = place
    if not (0 <= start and 0 <= size and start + size <= len(blobs)):
        raise Unreadable("a part lies outside of the message")
    return blobs[start : start + size]
