"""Whatever a learner's code does, the lesson goes on, in bounded time."""

import contextlib
import threading
import time

import psutil
import pytest

from bigmodel_nb.exercises.engine import sandbox

MINE = frozenset([__file__])


def spins():
    while True:
        pass


def bare_except():
    while True:
        try:
            sum(range(10))
        except:  # noqa: E722
            pass


def nested_bare_excepts():
    while True:
        try:
            while True:
                try:
                    sum(range(10))
                except:  # noqa: E722
                    continue
        except BaseException:
            pass


def suppresses():
    while True:
        with contextlib.suppress(BaseException):
            for _ in range(1000):
                pass


def finally_continues():
    while True:
        try:
            time.sleep(0.001)
        finally:
            continue


def generator_swallows():
    def numbers():
        while True:
            try:
                yield 1
            except:  # noqa: E722
                pass

    for _ in numbers():
        pass


def recursion_swallows():
    try:
        return recursion_swallows()
    except:  # noqa: E722
        return recursion_swallows()


ENDLESS = [
    spins,
    bare_except,
    nested_bare_excepts,
    suppresses,
    finally_continues,
    generator_swallows,
    recursion_swallows,
]


@pytest.mark.parametrize("work", ENDLESS, ids=lambda work: work.__name__)
def test_endless_work_is_stopped_and_named(work):
    outcome = sandbox.run(work, MINE, seconds=0.2)
    assert outcome.stopped == "time" and not outcome.ok
    assert outcome.line.text and "test_sandbox.py" in str(outcome.line)


def test_stopped_work_uses_no_processor_afterwards():
    for work in ENDLESS:
        sandbox.run(work, MINE, seconds=0.1)
    process = psutil.Process()
    mine = {thread.native_id for thread in threading.enumerate() if thread.name == "exercise"}
    time.sleep(0.2)
    before = {t.id: t.user_time + t.system_time for t in process.threads() if t.id in mine}
    time.sleep(0.5)
    after = {t.id: t.user_time + t.system_time for t in process.threads() if t.id in mine}
    assert sum(after.values()) - sum(before.values()) < 0.1


def test_sleeping_work_is_left_behind():
    outcome = sandbox.run(lambda: time.sleep(60), MINE, seconds=0.1)
    assert outcome.stopped == "time"


def allocates():
    kept = []
    while True:
        kept.append([0] * 100_000)


def allocates_and_swallows():
    kept = []
    while True:
        try:
            kept.append([0] * 100_000)
        except:  # noqa: E722
            pass


@pytest.mark.parametrize("work", [allocates, allocates_and_swallows], ids=lambda work: work.__name__)
def test_allocation_is_stopped(work):
    before = psutil.Process().memory_info().rss
    outcome = sandbox.run(work, MINE, seconds=30, extra_bytes=64 << 20)
    assert outcome.stopped == "memory"
    assert outcome.line
    assert psutil.Process().memory_info().rss - before < 400 << 20


def test_exception_is_named_by_its_line():
    def divides():
        numbers = [1, 0]
        return numbers[0] / numbers[1]

    outcome = sandbox.run(divides, MINE)
    assert outcome.error == "ZeroDivisionError: division by zero"
    assert outcome.line.text == "return numbers[0] / numbers[1]"


def test_line_is_the_innermost_of_the_learner():
    import json

    def parses():
        return json.loads("{")

    assert sandbox.run(parses, MINE).line.text == 'return json.loads("{")'


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError, RecursionError])
def test_every_kind_of_exception_is_an_outcome(error):
    def raises():
        raise error

    outcome = sandbox.run(raises, MINE)
    assert outcome.error == error.__name__ and not outcome.stopped


def test_exception_that_cannot_be_printed():
    class Rude(Exception):
        def __str__(self):
            raise ValueError

    def raises():
        raise Rude

    assert sandbox.run(raises, MINE).error == "Rude"


def test_value_and_print():
    outcome = sandbox.run(lambda: print("seen") or 3)
    assert outcome.ok and outcome.value == 3 and outcome.printed == "seen\n"


def test_slow_but_right_work_passes():
    assert sandbox.run(lambda: time.sleep(0.3) or 1, seconds=2).value == 1


def test_import_is_not_interrupted(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(
        "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nready = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def imports():
        import slow_to_import

        return slow_to_import.ready

    outcome = sandbox.run(imports, MINE, seconds=0.2)
    import slow_to_import

    assert slow_to_import.ready == 1
    assert outcome.value == 1 or outcome.stopped == "time"


def test_interrupt_reaches_the_learner(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    monkeypatch.setattr(sandbox, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sandbox.run(spins, MINE)
    time.sleep(0.1)
    assert not set(threading.enumerate()) - before


def test_code_without_source():
    names = {}
    exec("def work():\n    x = 1\n    return x / 0", names)
    outcome = sandbox.run(names["work"], frozenset(["<string>"]))
    assert str(outcome.line) == "line 3 of <string>"
