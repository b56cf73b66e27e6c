"""Has the learner begun? Judged by the compiled code, so that no source is needed."""

from __future__ import annotations

import dis
import inspect
from types import CodeType
from typing import Any

_PLACEHOLDERS = {"NotImplementedError", "NotImplemented", "super", "__init__"}
_IDLE = {  # operations that a body of docstring, `...`, `pass`, `return None` or `raise` compiles to
    "CACHE", "CALL", "CALL_INTRINSIC_1", "COPY_FREE_VARS", "EXTENDED_ARG", "KW_NAMES",
    "LOAD_ATTR", "LOAD_COMMON_CONSTANT", "LOAD_CONST", "LOAD_CONST_IMMORTAL", "LOAD_DEREF",
    "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_GLOBAL", "LOAD_METHOD", "LOAD_NAME",
    "LOAD_SUPER_ATTR", "MAKE_CELL", "NOP", "NOT_TAKEN", "POP_TOP", "PRECALL", "PUSH_NULL",
    "RAISE_VARARGS", "RESUME", "RETURN_CONST", "RETURN_VALUE", "STORE_FAST",
}  # fmt: skip


def is_stub(work: Any) -> bool:
    """True if a function's body (or each method of a class) does nothing and returns nothing.

    >>> is_stub(lambda x: ...)
    True
    >>> is_stub(lambda x: x)
    False
    """
    if inspect.isclass(work):
        codes = [code for member in vars(work).values() if (code := code_of(member))]
        return all(_idle(code, is_method=True) for code in codes)
    code = code_of(work)
    return code is not None and _idle(code)


def is_stub_source(source: str) -> bool:
    """The same of the source of one function or class, which is compiled and not run.

    >>> is_stub_source("def f(x): ..."), is_stub_source("def f(x): return x")
    (True, False)
    """
    own = _codes(compile(source, "<source>", "exec"))
    inner = [code for code in own if not code.co_flags & inspect.CO_NEWLOCALS]  # the body of a class
    return all(_idle(code, is_method=True) for body in inner for code in _codes(body)) if inner else all(map(_idle, own[-1:]))


def _codes(code: CodeType) -> list[CodeType]:
    return [it for it in code.co_consts if isinstance(it, CodeType)]


def code_of(work: Any) -> CodeType | None:
    """The code of a function, under decorators and method wrappers; None if it has none."""
    if isinstance(work, (staticmethod, classmethod)):
        work = work.__func__
    if isinstance(work, property):
        work = work.fget
    try:
        return getattr(inspect.unwrap(work), "__code__", None)
    except ValueError:
        return None


def files_of(work: Any) -> frozenset[str]:
    """The files that hold a function's code, or that of a class's methods."""
    members = vars(work).values() if inspect.isclass(work) else (work,)
    return frozenset(code.co_filename for member in members if (code := code_of(member)))


def _idle(code: CodeType, is_method: bool = False) -> bool:
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return False
    used = list(dis.get_instructions(code))
    loads = [i for i in used if i.opname.startswith(("LOAD_CONST", "RETURN_CONST"))]
    raises = "NotImplementedError" in code.co_names or any(
        i.opname == "RAISE_VARARGS" for i in used
    )
    arguments = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    touched = {i.argval for i in used if i.opname.startswith("LOAD_FAST")} & arguments
    return (
        {i.opname for i in used} <= _IDLE
        and set(code.co_names) <= _PLACEHOLDERS
        and not (touched - {"self"} if is_method else touched)
        and (raises or all(i.argval in (None, ...) for i in loads))
    )
