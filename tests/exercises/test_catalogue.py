"""What design.md asks of every exercise."""

import functools
import inspect
import itertools
import subprocess
import sys

import numpy as np
import pytest

from bigmodel_nb import exercises
from bigmodel_nb.errors import CourseError
from bigmodel_nb.exercises.engine.attempt import copied
from bigmodel_nb.exercises.engine.judge import agree, behaviour
from bigmodel_nb.exercises.engine.sandbox import run


def test_exercise_is_complete(exercise):
    assert 1 <= exercise.difficulty <= 5 and exercise.minutes > 0
    assert len(exercise.hints) == 3 and len(exercise.checks) >= 4
    assert len(exercise.misconceptions) >= 4
    names = [m.name for m in exercise.misconceptions]
    hints = [m.hint for m in exercise.misconceptions]
    assert len(set(names)) == len(names) and len(set(hints)) == len(hints)
    assert exercise.reference.__doc__
    assert len(exercise.probes()) >= 2


def test_reference_passes(exercise):
    verdict = exercises.check(exercise.id, exercise.reference)
    assert verdict.status == "passed", verdict.text


def test_right_answer_in_another_style_passes(id, right):
    verdict = exercises.check(id, right)
    assert verdict.status == "passed", verdict.text


def test_checking_twice_gives_the_same(exercise):
    wrong = exercise.misconceptions[0].wrong
    assert exercises.check(exercise.id, wrong) == exercises.check(exercise.id, wrong)


def stub(exercise, body):
    signature = inspect.signature(exercise.reference)
    names = {}
    exec(f"def work{signature}:\n    {body}", names)
    return names["work"]


STUBS = [
    "...",
    "pass",
    "'''docstring'''",
    "'''docstring'''\n    ...",
    "return None",
    "return ...",
    "return NotImplemented",
    "raise NotImplementedError",
    "raise NotImplementedError('write me')",
    "result = ...\n    return result",
]


@pytest.mark.parametrize("body", STUBS)
def test_stub_is_not_attempted(exercise, body):
    assert exercises.check(exercise.id, stub(exercise, body)).status == "not attempted"


def test_numpy_bools_and_lists_for_tuples_pass(exercise):
    if inspect.isclass(exercise.reference):
        pytest.skip("a class")

    @functools.wraps(exercise.reference)
    def reworded(*args, **kwargs):
        result = exercise.reference(*args, **kwargs)
        return np.bool_(result) if isinstance(result, bool) else list(result) if type(result) is tuple else result

    verdict = exercises.check(exercise.id, reworded)
    assert verdict.status == "passed", verdict.text


def test_misconception_is_recognised(of, misconception):
    for form in misconception.forms:
        verdict = exercises.check(of.id, form)
        assert verdict.status == "failed"
        assert verdict.misconception == misconception.name, verdict.text
        assert verdict.hint == misconception.hint
        assert verdict.text and verdict.hint not in verdict.text


def test_same_mistake_in_another_style(of, misconception, second_versions):
    versions = second_versions[of.id][misconception.name]
    assert versions
    for version in versions:
        verdict = exercises.check(of.id, version)
        assert verdict.misconception == misconception.name, (version, verdict.text)


def test_no_two_behaviours_agree_on_the_probes(exercise):
    probes = exercise.probes()
    known = [("reference", behaviour(exercise, exercise.reference, probes))]
    known += [
        (m.name, behaviour(exercise, form, probes)) for m in exercise.misconceptions for form in m.forms
    ]
    for (one, a), (other, b) in itertools.combinations(known, 2):
        assert one == other or not agree(a, b, limit=2e-3), (one, other)


def test_no_misconception_raises_on_every_probe(exercise):
    for m in exercise.misconceptions:
        for form in m.forms:
            ran = [run(lambda: exercise.drive(form, *copied(p))).ok for p in exercise.probes()]
            assert any(ran), m.name


def test_answers_outside_the_catalogue_are_at_least_four(exercise, outside):
    assert len(outside[exercise.id]) >= 4


def test_answer_outside_the_catalogue_gets_no_foreign_hint(id, outsider):
    verdict = exercises.check(id, outsider)
    assert verdict.status == "failed"
    assert verdict.misconception is None and verdict.hint is None
    assert verdict.text


def test_mutants_are_rejected(exercise, mutants, capsys):
    rng = np.random.default_rng(99)
    cases = [exercise.sample(rng) for _ in range(12)]
    right = behaviour(exercise, exercise.reference, cases)
    changed = [
        (word, mutant)
        for word, mutant in mutants.mutants(exercise.reference)
        if not agree(behaviour(exercise, mutant, cases), right)
    ]
    survivors = [w for w, m in changed if exercises.check(exercise.id, m, seconds=1).status == "passed"]
    with capsys.disabled():
        print(f"\n{exercise.id}: {len(changed)} mutants, survivors: {survivors or 'none'}")
    assert len(changed) >= 5
    assert len(survivors) <= 0.05 * len(changed)


# Work that is not even wrong


def bare_except(*args, **kwargs):
    while True:
        try:
            len(args)
        except:  # noqa: E722
            pass


def allocates(*args, **kwargs):
    kept = []
    while True:
        kept.append([0] * 100_000)


def raises(*args, **kwargs):
    wanted = {}
    return wanted["missing"]


def test_endless_loop_is_stopped(exercise):
    verdict = exercises.check(exercise.id, bare_except, seconds=0.3)
    assert verdict.status == "failed" and verdict.misconception is None
    assert "did not finish in time" in verdict.text and "of test_catalogue.py" in verdict.text


@pytest.mark.parametrize("first_of", {e.lesson: e for e in reversed(exercises.catalogue())}.values(), ids=lambda e: e.id)
def test_endless_allocation_is_stopped(first_of, monkeypatch):
    """The engine stops it, not the exercise: so once a lesson, since it takes time."""
    monkeypatch.setattr("bigmodel_nb.exercises.engine.sandbox.EXTRA_BYTES", 64 << 20)
    verdict = exercises.check(first_of.id, allocates, seconds=20)
    assert verdict.status == "failed"
    assert "memory" in verdict.text and "of test_catalogue.py" in verdict.text


def test_exception_names_the_line(exercise):
    verdict = exercises.check(exercise.id, raises)
    assert verdict.status == "failed" and verdict.misconception is None
    assert "KeyError: 'missing'" in verdict.text and 'return wanted["missing"]' in verdict.text


class Chameleon:
    """Says it equals everything."""

    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        raise AttributeError(name)


WRONG_TYPES = [None, "text", 3.5, True, [], (), {}, object, Chameleon(), np.zeros(3), float("nan"), ...]


@pytest.mark.parametrize("value", WRONG_TYPES, ids=lambda v: type(v).__name__)
def test_wrong_type_is_rejected(exercise, value):
    verdict = exercises.check(exercise.id, lambda *args, **kwargs: [value][0])
    assert verdict.status == "failed" and verdict.misconception is None and verdict.text


@pytest.mark.parametrize("work", [None, 3, "text"])
def test_what_cannot_be_called_fails(exercise, work):
    assert exercises.check(exercise.id, work).status == "failed"


def test_wrong_signature_fails(exercise):
    verdict = exercises.check(exercise.id, lambda: 3)
    assert verdict.status == "failed" and "TypeError" in verdict.text


# Cheats


def test_changed_arguments_fail(exercise):
    if exercise.may_change_arguments:
        pytest.skip("may change its arguments")
    if exercise.arguments is not type(exercise).__dataclass_fields__["arguments"].default:
        pytest.skip("its arguments are made for each call")

    def spoils(*args):
        result = exercise.reference(*copied(args))
        for value in args:
            if isinstance(value, list):
                value.append(value[0] if value else 0)
            elif isinstance(value, np.ndarray):
                value[...] = value + 1
            elif hasattr(value, "fill_"):
                value.fill_(0)
        return result

    if not any(isinstance(v, (list, np.ndarray)) or hasattr(v, "fill_") for v in exercise.probes()[0]):
        pytest.skip("numbers can't be changed")
    verdict = exercises.check(exercise.id, spoils)
    assert verdict.status == "failed" and "changed its argument" in verdict.text


def test_changed_argument_is_named_as_the_learner_calls_it():
    def in_place(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
        loss = exercises.reference(id)(net, optimizer, x.clone(), y, epsilon, low, high)
        x.add_(epsilon)
        return loss

    id = "robust_and_multimodal.adversarial_step"
    assert "changed its argument `x`;" in exercises.check(id, in_place).text


def test_answers_by_call_number_fail(exercise):
    """Right for the first n calls, wrong from then on: for any n the checks need."""
    calls = {"n": 0, "until": 10**9}

    def counted(*args):
        calls["n"] += 1
        if calls["n"] > calls["until"]:
            return exercise.misconceptions[0].wrong(*args)
        return exercise.reference(*args)

    assert exercises.check(exercise.id, counted).status == "passed"
    needed = calls["n"]
    for until in (0, 1, needed // 2, needed - 1):
        calls.update(n=0, until=until)
        assert exercises.check(exercise.id, counted).status == "failed", (until, needed)


def test_global_random_numbers_are_left_alone(exercise):
    import random

    def before_and_after(work):
        random.seed(0)
        np.random.seed(0)
        exercises.check(exercise.id, work)
        return random.random(), float(np.random.rand())

    def draws(*args):
        random.random(), np.random.rand()
        return exercise.reference(*args)

    assert before_and_after(draws) == before_and_after(stub(exercise, "..."))


def test_nothing_is_printed(exercise, capfd):
    def chatty(*args):
        print("called")
        print("called", file=sys.stderr)
        return exercise.reference(*args)

    exercises.check(exercise.id, chatty)
    assert capfd.readouterr() == ("", "")


# The catalogue


def test_ids_are_unique_and_named_after_a_module():
    ids = [e.id for e in exercises.catalogue()]
    assert len(set(ids)) == len(ids)
    assert {e.lesson for e in exercises.catalogue()} <= {"start_here", "finetune_gpt2"} | set(
        e.reference.__module__.rpartition(".")[2] for e in exercises.catalogue()
    )


def test_unknown_id_names_the_nearest():
    with pytest.raises(CourseError, match="finetune_gpt2.perplexity"):
        exercises.check("finetune_gpt2.perplexety", len)
    with pytest.raises(CourseError, match="start_here"):
        exercises.reference("nothing")


def test_a_numpy_exercise_needs_no_torch():
    code = (
        "import sys; from bigmodel_nb import exercises as e;"
        "e.catalogue();"
        "print([e.check(i, e.reference(i)).status for i in"
        " ('start_here.count_parameters', 'finetune_gpt2.pack_into_blocks', 'finetune_gpt2.perplexity')]);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passed") == 3
