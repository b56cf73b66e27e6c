"""What the learner has solved: `<workspace>/.bigmodel_nb/progress.json`.

Every change is read, made and written back under a lock and replaces the file at once, so that two
kernels lose nothing. Without a workspace, or while the file can't be locked, read or written, the
results stay in memory; a lesson goes on in any case.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bigmodel_nb import course

LOCK_SECONDS = 2.0
State = dict[str, Any]
Change = Callable[[State], None]

_memory: State = {}  # where there is no workspace
_waiting: list[tuple[Path, Change]] = []  # changes that could not be written yet


def path() -> Path | None:
    """The progress file of the current workspace; None where there is none."""
    try:
        folder = course.workspace()
    except OSError:
        return None
    return folder and Path(folder) / course.STATE_FOLDER / "progress.json"


def read(file: Path | None = None) -> State:
    """Everything known: {"own_code": bool, "exercises": {id: {...}}, "quizzes": {id: {...}}}."""
    file = file or path()
    if file is None:
        return clean(_memory)
    state = _load(file)
    for waiting_file, change in _waiting:
        if waiting_file == file:
            change(state)
    return state


def update(change: Change) -> None:
    """Apply `change(state)` to what is stored."""
    file = path()
    if file is None:
        state = clean(_memory)
        change(state)
        _memory.update(state)
        return
    _waiting.append((file, change))
    with contextlib.suppress(OSError):
        _write_waiting(file)


def damaged(file: Path) -> bool:
    """True if there is a file but it is not a progress file."""
    try:
        return not isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except FileNotFoundError:
        return False
    except (ValueError, RecursionError):
        return True


def whole(entry: dict, key: str) -> int:
    """The whole number stored under a key; 0 where there is none."""
    return entry[key] if isinstance(entry.get(key), int) else 0


def forget_memory() -> None:
    """Drop what is only in memory (for tests)."""
    _memory.clear()
    _waiting.clear()


def clean(state: Any) -> State:
    """A copy of a state with every part of the right type, whatever was read."""
    state = state if isinstance(state, dict) else {}
    parts = {key: state.get(key) for key in ("exercises", "quizzes")}
    return {
        "version": 1,
        "own_code": state.get("own_code") is True,
        **{
            key: {id: dict(v) for id, v in part.items() if isinstance(v, dict)}
            if isinstance(part, dict) else {}
            for key, part in parts.items()
        },
    }


def _write_waiting(file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    with _locked(file.with_suffix(".lock")):
        _keep_damaged(file)
        state = _load(file)
        mine = [entry for entry in _waiting if entry[0] == file]
        for _, change in mine:
            change(state)
        _replace(file, json.dumps(state, indent=1, sort_keys=True))
    _waiting[:] = [entry for entry in _waiting if entry not in mine]


def _load(file: Path) -> State:
    try:
        return clean(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return clean({})


def _keep_damaged(file: Path) -> None:
    """Put a file that is not a progress file aside, so that nothing in it is lost."""
    if damaged(file):
        os.replace(file, file.with_suffix(f".damaged-{time.strftime('%Y%m%d-%H%M%S')}.json"))


def _replace(file: Path, text: str) -> None:
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        _retry(lambda: os.replace(temporary, file))
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock file; the system gives it back if the process dies. `OSError` if it stays
    taken for `LOCK_SECONDS`."""
    with open(file, "a+b") as handle:
        _retry(lambda: _lock(handle))
        try:
            yield
        finally:
            _unlock(handle)


def _retry(action: Callable[[], None]) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return action()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


if os.name == "nt":
    import msvcrt

    def _lock(handle) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(handle) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(handle) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
