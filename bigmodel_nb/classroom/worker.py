"""The isolated side of grading: it runs a learner's code and sends back what it returned.

Started as `python -m bigmodel_nb.classroom.worker`. Messages come in as pickles from the grader and
go out in the code of `codec`, each after its length in eight bytes. Nothing here is believed by the
grader but the values, which it judges itself.
"""

from __future__ import annotations

import io
import linecache
import os
import pickle
import struct
import sys
from collections.abc import Iterable
from typing import Any

from . import codec

LENGTH = struct.Struct("<Q")


def send(stream, data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream) -> bytes:
    """The next message; EOFError at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return stream.read(LENGTH.unpack(head)[0])


def main() -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    sys.stdin, sys.stdout = io.StringIO(), io.TextIOWrapper(os.fdopen(os.dup(1), "wb"))
    work: Any = None
    while True:
        try:
            kind, *parts = pickle.loads(receive(requests))
        except EOFError:
            return
        if kind == "define":
            work, answer = define(*parts)
        else:
            answer = call(work, *parts)
        send(answers, codec.encode(answer))


def define(name: str, source: str, cell: int, needs: Iterable[tuple[int, str]], seconds: float) -> tuple[Any, dict]:
    """Run the statements that a work needs, then its own; the work, and what went wrong."""
    from bigmodel_nb.exercises.engine import sandbox

    namespace: dict[str, Any] = {"__name__": "__main__"}

    def run() -> None:
        for number, text in needs:
            execute(text, number, namespace)
        execute(source, cell, namespace)

    outcome = sandbox.run(run, seconds=seconds)
    return namespace.get(name), {"error": outcome.error, "stopped": outcome.stopped, "line": str(outcome.line or "")}


def execute(source: str, cell: int, namespace: dict[str, Any]) -> None:
    """Run a piece of a cell so that errors can name its lines."""
    file = f"<ipython-input-{cell + 1}-{len(linecache.cache)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), namespace)


def call(work: Any, drive: Any, case: tuple, seconds: float) -> dict:
    """Run a work on a case, as `sandbox.run` does: its value, and the case as it is afterwards."""
    from bigmodel_nb.exercises.engine import sandbox
    from bigmodel_nb.exercises.engine.stub import files_of

    outcome = sandbox.run(lambda: drive(work, *case), files_of(work), seconds)
    return {
        "value": outcome.value,
        "error_type": outcome.error_type.__name__ if outcome.error_type else "",
        "error": outcome.error,
        "stopped": outcome.stopped,
        "line": [outcome.line.number, outcome.line.text, outcome.line.file] if outcome.line else None,
        "case": list(case),
    }


if __name__ == "__main__":
    main()
