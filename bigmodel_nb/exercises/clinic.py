"""Exercises of lesson 24: tests that find one fault, whatever else is right or wrong with a program.

A case is the description of a program from the exercise's collection; the learner's test gets the program.
"""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field

import numpy as np

from .engine.compare import type_name
from .engine.model import Check, Exercise, Failed, misconceptions_of

TURNED = "answer_turned_round"


def depends_on_test_rows(prepare):
    """True if scaled rows depend on test rows that they must not depend on -> bool.

    prepare(train, test): float arrays (N, d), (M, d) -> both, scaled, as new arrays. What you test.
    A scaled training row may depend on the training rows only, a scaled test row on these and on itself.
    """
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(20, 3)), rng.normal(size=(6, 3))
    one = prepare(train, test)
    for i in range(len(test)):
        other = 50 * test + 100
        other[i] = test[i]
        two = prepare(train, other)
        if not (np.allclose(one[0], two[0]) and np.allclose(one[1][i], two[1][i])):
            return True
    return False


def padding_counts(summary):
    """True if padding changes the result, whatever else is right or wrong with it -> bool.

    summary(losses, lengths) -> float. What you test.
    losses: float array (B, T), one loss a token; lengths: int array (B,), from 1 to T: row b has lengths[b] tokens,
    what stands behind them is padding. How much padding there is, and which (finite) numbers stand in it, must not matter.
    """
    losses, lengths = np.arange(1.0, 13).reshape(3, 4), np.array([4, 2, 1])
    real = np.arange(4) < lengths[:, None]
    changed = summary(np.where(real, losses, 77.0), lengths)
    longer = summary(np.pad(losses, ((0, 0), (0, 3))), lengths)
    return not np.allclose([changed, longer], summary(losses, lengths))


def evaluates_in_training_mode(evaluate):
    """True if any batch goes through the model while it is in training mode -> bool.

    evaluate(model, batches) -> float. What you test. batches: list of arrays.
    model: yours to write; it begins in training mode. evaluate may use model(x) -> array, model.train(mode=True),
    model.eval() and the attribute model.training, as of a torch module.
    """
    modes = []

    class Spy:
        training = True

        def train(self, mode=True):
            self.training = mode
            return self

        def eval(self):
            return self.train(False)

        def __call__(self, x):
            modes.append(self.training)
            return x

    evaluate(Spy(), [np.ones(2), np.ones(2), np.ones(2)])
    return any(modes)


def scores_another_token(loss):
    """True if the score is not about the next token -> bool.

    loss(model, ids) -> float, smaller is better, in any unit. What you test. ids: int array (T,), T from 8.
    model: yours to write, ids (t,) -> logits (t, vocab_size). It may be given ids or ids without its last token.
    A sound program likes a model best that expects at each token the one that follows it.
    """
    ids = np.random.default_rng(0).permutation(12)  # each token once, so that none is right by chance
    place = np.argsort(ids)

    def of_prophet(distance):
        return loss(lambda x: 9.0 * np.eye(12)[ids[(place[x] + distance) % 12]], ids)

    return any(of_prophet(1) >= of_prophet(distance) for distance in (-1, 0, 2))


def weights_do_not_sum_to_one(attend):
    """True if some query shares out more or less than 1 over the keys -> bool.

    attend(q, k, v): float arrays (n, d), (m, d), (m, d_v) -> (n, d_v): for each query a weighted sum of the rows of v,
    with any weights that q and k decide. What you test.
    """
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    return not np.allclose(attend(q, k, np.ones((5, 2))), 1)


def keeps_other_weights(fit):
    """True if fit does not return the weights that had the lowest loss -> bool.

    fit(weights, step, loss, steps) -> list of arrays: the weights, after one of its steps, with the lowest loss. What
    you test. weights: list of arrays; step(weights) changes these arrays in place and returns nothing;
    loss(weights) -> float, doesn't change them. step and loss are yours to write.
    """
    losses = [3.0, 1.0, 2.0]
    weights = [np.zeros(2), np.zeros(3)]

    def step(weights):
        for array in weights:
            array += 1  # the weights count the steps

    kept = fit(weights, step, lambda weights: losses[int(weights[0][0]) - 1], 3)
    return not all((array == 2).all() for array in kept)


def wrong_for_bytes(distance):
    """True if a distance is wrong for some pair of images -> bool.

    distance(a, b) -> number, the mean of the absolute differences. What you test.
    a, b: uint8 arrays of equal shape, 1 to 100,000 pixels. Differences below 1e-3 are rounding.
    """
    for low, high, pixels in ((0, 1, 1), (0, 200, 1), (0, 255, 70_000)):
        a, b = np.full(pixels, low, np.uint8), np.full(pixels, high, np.uint8)
        if abs(distance(a, b) - (high - low)) > 1e-3 or abs(distance(b, a) - (high - low)) > 1e-3:
            return True
    return False


def shares_luck(repeat):
    """True if some of the repeats draw the same random numbers -> bool.

    repeat(experiment, n, seed) -> list of n results. What you test.
    experiment(rng) -> number, with rng a NumPy Generator: yours to write. Try n = 12 at least.
    """
    results = repeat(lambda rng: rng.random(), 12, 0)
    return len(set(results)) < 12


def is_another_divergence(divergence):
    """True if it is not KL(p || q) = sum of p log(p / q), in any unit -> bool.

    divergence(p, q) -> float. What you test. p, q: float arrays (n,), probabilities, none of them 0.
    Bits for nats, or any other factor above 0, is no fault, nor one that depends on n, as a mean's 1 / n does.
    """
    p, q = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    forth, back = np.sum(p * np.log(p / q)), np.sum(q * np.log(q / p))
    there, again = divergence(p, q), divergence(q, p)
    return bool(there <= 0 or abs(again / there - back / forth) > 1e-6)


def may_charge_twice(pay):
    """True if a customer can be charged more than once for one order -> bool.

    pay(send, amount, order) -> receipt, or it raises TimeoutError. What you test. It may try several times.
    send(amount, key) -> receipt: the bank, yours to write. It charges for a key that it has not seen yet, and for None
    each time. It may raise TimeoutError, and nobody knows whether it has charged before that.
    """
    for lost in range(3):  # so many answers get lost on the way back
        calls, charged = [], []

        def send(amount, key):
            calls.append(key)
            if key is None or key not in charged:
                charged.append(key)
            if len(calls) <= lost:
                raise TimeoutError
            return "receipt"

        try:
            pay(send, 10, "order 7")
        except TimeoutError:
            pass
        if len(charged) > 1:
            return True
    return False


# What the ten have in common


@dataclass(frozen=True)
class Programs:
    """Programs by description: sound, sound though they look odd, faulty, and faulty in another style."""

    sound: dict
    odd: dict
    faulty: dict
    hidden: dict
    errors: dict = field(default_factory=dict)  # what the programs may raise, and what to say of a test that lets it through

    @property
    def all(self) -> dict:
        return {**self.sound, **self.odd, **self.faulty, **self.hidden}

    def arguments(self, kind):
        return (self.all[kind],)

    def drive(self, work, kind):
        try:
            return work(self.all[kind])
        except tuple(self.errors) as error:
            raise Failed(self.errors[type(error)]) from error

    def expect(self, attempt, kind):
        said = attempt(kind)
        if not isinstance(said, (bool, np.bool_)):
            raise Failed(f"Your test returned a {type_name(said)}; expected True or False, as a bool.", (kind,))
        faulty = kind in self.faulty or kind in self.hidden
        if said != faulty:
            raise Failed(f"Your test says {bool(said)} for a program that {kind}. Expected {faulty}.", (kind,))

    def check(self, *kinds):
        def run(attempt):
            for kind in kinds:
                self.expect(attempt, kind)

        return run

    def checks(self):
        return (
            Check("one faulty program, one sound one", self.check(next(iter(self.faulty)), next(iter(self.sound)))),
            Check("sound programs", self.check(*self.sound)),
            Check("faulty programs", self.check(*self.faulty)),
            Check("sound programs that look odd", self.check(*self.odd)),
            Check("the same fault in another style", self.check(*self.hidden)),
        )

    def exercise(self, reference, difficulty, minutes, section, hints, wrong):
        """wrong: name -> (hint, wrong tests)."""
        hint = "Your test says True for a sound program. Asked for: True if the fault is there."
        wrong = {TURNED: (hint, lambda program: not reference(program)), **wrong}
        return Exercise(
            id=f"clinic.{reference.__name__}",
            reference=reference,
            difficulty=difficulty,
            minutes=minutes,
            section=section,
            hints=hints,
            checks=self.checks(),
            misconceptions=misconceptions_of(
                {name: forms for name, (_, *forms) in wrong.items()}, {name: hint for name, (hint, *_) in wrong.items()}
            ),
            probes=lambda: [(kind,) for kind in self.all],
            sample=lambda rng: (list(self.all)[rng.integers(len(self.all))],),
            drive=self.drive,
            arguments=self.arguments,
        )


# depends_on_test_rows


def _scaled(center, spread):
    """A program from two functions of (train, test)."""

    def prepare(train, test):
        c, s = center(train, test), spread(train, test)
        return (train - c) / s, (test - c) / s

    return prepare


def _whitened(rows):
    return (rows - rows.mean(0)) / rows.std(0)


def _all(train, test):
    return np.concatenate([train, test])


def _own_sides(train, test):
    return _whitened(train), _whitened(test)


def _train_by_all(train, test):
    both = _all(train, test)
    return (train - both.mean(0)) / both.std(0), (test - train.mean(0)) / train.std(0)


def _clipped(train, test):
    return train.copy(), np.clip(test, train.min(0), train.max(0))


def _row_means_taken_off(train, test):
    return train - train.mean(1, keepdims=True), test - test.mean(1, keepdims=True)


def _logarithms(train, test):
    return tuple(np.sign(rows) * np.log1p(np.abs(rows)) for rows in (train, test))


def _ranked(train, test):
    return train.copy(), test.argsort(0).argsort(0) / len(test)


def _running(train, test):
    """Each test row by the training rows and the test rows up to it."""
    ends = [np.concatenate([train, test[: i + 1]]) for i in range(len(test))]
    return _whitened(train), np.array([(row - rows.mean(0)) / rows.std(0) for row, rows in zip(test, ends)])


def _running_backwards(train, test):
    mean = (test[::-1].cumsum(0) / np.arange(1, len(test) + 1)[:, None])[::-1]
    return train - train.mean(0), test - mean


_ROWS = Programs(
    sound={
        "scales by mean and standard deviation of the training rows": _scaled(lambda a, b: a.mean(0), lambda a, b: a.std(0)),
        "scales to 0..1 by the training rows": _scaled(lambda a, b: a.min(0), lambda a, b: a.max(0) - a.min(0)),
    },
    odd={
        "scales by median and quartiles of the training rows": _scaled(
            lambda a, b: np.median(a, 0), lambda a, b: np.quantile(a, 0.75, 0) - np.quantile(a, 0.25, 0)
        ),
        "takes logarithms and looks at no other row": _logarithms,
        "subtracts from each row its own mean": _row_means_taken_off,
        "clips test rows to the range of the training rows": _clipped,
        "measures everything from the first training row": _scaled(lambda a, b: a[0], lambda a, b: 2.0),
    },
    faulty={
        "scales by mean and standard deviation of all rows": _scaled(
            lambda a, b: _all(a, b).mean(0), lambda a, b: _all(a, b).std(0)
        ),
        "scales the test rows by their own mean and standard deviation": _own_sides,
    },
    hidden={
        "subtracts the mean of all rows": _scaled(lambda a, b: _all(a, b).mean(0), lambda a, b: a.std(0)),
        "divides by the largest size in any row": _scaled(lambda a, b: 0.0, lambda a, b: np.abs(_all(a, b)).max(0)),
        "scales the training rows by all rows, the test rows by the training rows": _train_by_all,
        "ranks each test row among the test rows": _ranked,
        "goes on counting test rows into its mean and spread": _running,
        "subtracts from each test row the mean of it and those behind it": _running_backwards,
    },
)


def _rows_test(change, look):
    """Does what `look` picks of the two results change when the test rows do?"""

    def test(prepare):
        rng = np.random.default_rng(1)
        train, rows = rng.normal(size=(15, 2)), rng.normal(size=(7, 2))
        rows[0] = 0.3, -0.2
        one, two = (look(*prepare(train, it)) for it in (rows, change(rows)))
        return not all(np.allclose(a, b) for a, b in zip(one, two))

    return test


def _last_kept(rows):
    return np.concatenate([30 * rows[:-1] - 70, rows[-1:]])


def _far_away(rows):
    return np.concatenate([rows[:1], 30 * rows[1:] - 70])


def _see_saw(rows):
    other = rows.copy()
    other[1] += 40
    other[2] -= 40
    return other


def _sign_turned(rows):
    return np.concatenate([rows[:1], -rows[1:]])


_first_of_test = lambda a, b: (a, b[0])  # noqa: E731


def _centred_wanted(prepare):
    train, _ = prepare(np.random.default_rng(2).normal(3, 2, (20, 2)), np.random.default_rng(3).normal(9, 1, (5, 2)))
    return not (np.allclose(train.mean(0), 0) and np.allclose(train.std(0), 1))


_ROWS_WRONG = {
    "training_rows_only": (
        "You compare the scaled training rows only. What of a program that scales the test rows by themselves?",
        _rows_test(_far_away, lambda a, b: (a,)),
    ),
    "test_rows_only": (
        "You compare scaled test rows only. Training rows may have seen the test rows as well.",
        _rows_test(_far_away, lambda a, b: (b[0],)),
    ),
    "one_row_only": (
        "You keep one test row and look at that. Running statistics depend on the rows before it, or behind it: keep each "
        "in turn.",
        _rows_test(_far_away, _first_of_test),
        _rows_test(_last_kept, lambda a, b: (a, b[-1])),
    ),
    "mean_zero_wanted": (
        "You ask for mean 0 and standard deviation 1. That says how rows are scaled, not whose statistics were used.",
        _centred_wanted,
    ),
    "mean_left_as_it_was": (
        "Your change leaves the mean of the test rows as it was, so a program that uses only the mean shows nothing.",
        _rows_test(_see_saw, _first_of_test),
    ),
    "size_left_as_it_was": (
        "Your change turns the signs and leaves the sizes, so a program that uses only the largest size shows nothing.",
        _rows_test(_sign_turned, _first_of_test),
    ),
}


# padding_counts


def _masked(losses, lengths, more=0):
    return np.arange(losses.shape[1]) < lengths[:, None] + more


def _row_by_row(losses, lengths):
    total = 0.0
    for row, length in zip(losses, lengths):
        total += sum(row[:length])
    return total / sum(lengths)


_PADDED = Programs(
    sound={
        "masks the losses and divides by the number of tokens": lambda losses, lengths: (
            (losses * _masked(losses, lengths)).sum() / lengths.sum()
        ),
        "goes through the rows and stops at their ends": _row_by_row,
    },
    odd={
        "averages the means of the rows": lambda losses, lengths: np.mean([r[:n].mean() for r, n in zip(losses, lengths)]),
        "adds up the losses and divides by nothing": lambda losses, lengths: losses[_masked(losses, lengths)].sum(),
        "gives the perplexity": lambda losses, lengths: np.exp(losses[_masked(losses, lengths)].mean()),
        "looks at first tokens only": lambda losses, lengths: losses[:, 0].mean(),
    },
    faulty={
        "averages everything": lambda losses, lengths: losses.mean(),
        "masks the losses and divides by the number of places": lambda losses, lengths: (
            (losses * _masked(losses, lengths)).mean()
        ),
    },
    hidden={
        "counts the first place behind each text": lambda losses, lengths: losses[_masked(losses, lengths, 1)].mean(),
        "leaves out the places whose loss is 0": lambda losses, lengths: losses[losses != 0].mean(),
        "cuts all rows at the longest": lambda losses, lengths: losses[:, : lengths.max()].mean(),
        "takes the largest of the rows' means, with padding": lambda losses, lengths: losses.mean(axis=1).max(),
    },
)


def _padding_test(*changes):
    def test(summary):
        losses, lengths = np.random.default_rng(4).uniform(1, 3, (4, 5)), np.array([5, 3, 1, 2])
        before = summary(losses, lengths)
        return not all(np.isclose(summary(change(losses, lengths), lengths), before) for change in changes)

    return test


def _filled(value):
    return lambda losses, lengths: np.where(_masked(losses, lengths), losses, value)


def _wider(losses, lengths):
    return np.concatenate([losses, np.zeros((len(losses), 2))], axis=1)


def _token_mean_wanted(summary):
    losses, lengths = np.random.default_rng(5).uniform(1, 3, (3, 6)), np.array([6, 2, 3])
    return not np.isclose(summary(losses, lengths), losses[_masked(losses, lengths)].mean())


_PADDED_WRONG = {
    "values_only": (
        "You change what stands in the padding, not how much of it there is. A mean over all places divides by it, too.",
        _padding_test(_filled(50.0)),
    ),
    "width_only": (
        "You add more padding and leave what stood there. A program that cuts the new columns off, or skips their value, "
        "passes: change what stands in the padding as well.",
        _padding_test(_wider),
    ),
    "token_mean_wanted": (
        "You compare with the mean over tokens. Another summary of the tokens is not this fault.",
        _token_mean_wanted,
    ),
    "nan_in_padding": (
        "You put NaN into the padding: a mask that multiplies by 0 gives NaN then, though padding doesn't count. "
        "The numbers are finite.",
        _padding_test(_filled(np.nan), _wider),
    ),
}


# evaluates_in_training_mode


def _mean_over(model, batches):
    return float(np.mean([np.mean(model(x)) for x in batches]))


def _switching(first="train", before=None, behind=None):
    """An evaluation that calls methods of the model at first, and before and behind each batch."""

    def evaluate(model, batches):
        getattr(model, first)()
        means = []
        for x in batches:
            if before:
                getattr(model, before)()
            means.append(np.mean(model(x)))
            if behind:
                getattr(model, behind)()
        return float(np.mean(means))

    return evaluate


def _eval_first(model, batches):
    model.eval()
    return _mean_over(model, batches)


def _train_false(model, batches):
    model.train(False)
    return _mean_over(model, batches)


def _switches_back(model, batches):
    model.eval()
    try:
        return _mean_over(model, batches)
    finally:
        model.train()


def _attribute_set(model, batches):
    model.training = False
    return _mean_over(model, batches)


def _train_then_eval(model, batches):
    model.train()
    model.eval()
    return _mean_over(model, batches[::-1])


def _not_called(model, batches):
    model.eval  # noqa: B018
    return _mean_over(model, batches)


def _seeded(model, batches):
    np.random.seed(0)
    return _mean_over(model, batches)


def _eval_afterwards(model, batches):
    result = _mean_over(model, batches)
    model.eval()
    return result


def _warmed_up(model, batches):
    model(batches[0])
    return _eval_first(model, batches)


def _once_more(model, batches):
    result = _switches_back(model, batches)
    model(batches[-1])
    return result


_MODES = Programs(
    sound={"calls eval() first": _eval_first, "calls train(False) first": _train_false},
    odd={
        "calls eval(), and train() at the end": _switches_back,
        "calls eval() before each batch and train() behind it": _switching(before="eval", behind="train"),
        "sets model.training to False": _attribute_set,
        "calls train() and then eval(), and takes the batches from behind": _train_then_eval,
    },
    faulty={"never changes the mode": _mean_over, "names model.eval and does not call it": _not_called},
    hidden={
        "warms up with a batch in training mode, and throws away what it gives": _warmed_up,
        "sends the last batch once more in training mode": _once_more,
        "calls eval() behind the first batch": _switching(behind="eval"),
        "calls train() again inside the loop": _switching(first="eval", behind="train"),
        "seeds the random numbers and stays in training mode": _seeded,
        "calls eval() when all is done": _eval_afterwards,
    },
)


class _Recorder:
    """A model that notes in which mode it was called, and which methods were."""

    def __init__(self, rng=None):
        self.training, self.rng = True, rng
        self.modes, self.called = [], []

    def train(self, mode=True):
        self.called.append("train")
        self.training = mode
        return self

    def eval(self):
        self.called.append("eval")
        self.training = False
        return self

    def __call__(self, x):
        self.modes.append(self.training)
        return x * 2 * (self.rng.random(x.shape) < 0.5) if self.rng and self.training else x


def _recorded(evaluate, batches=4, rng=None):
    model = _Recorder(rng)
    return model, evaluate(model, [np.ones(40)] * batches)


def _two_runs(n, size, seed):
    """One model of the lesson, evaluated twice: whether the numbers differ is luck, and these stand for the usual outcomes."""

    def test(evaluate):
        model, batches = _Recorder(np.random.default_rng(seed)), [np.ones(size)] * n
        return evaluate(model, batches) != evaluate(model, batches)

    return test


_MODES_WRONG = {
    "called_twice": (
        "You look at the numbers that come back. Drawn ones can agree by chance or by a seed, and a batch in training mode "
        "needn't count in the result. Note the mode in each call of the model instead.",
        lambda evaluate: _recorded(evaluate, rng=np.random)[1] != _recorded(evaluate, rng=np.random)[1],
        *(_two_runs(*how) for how in ((2, 10, 1), (3, 20, 0), (2, 20, 1), (2, 10, 0), (3, 10, 0))),
    ),
    "mode_afterwards": (
        "You look at the mode when the evaluation is over. Which mode did the batches see?",
        lambda evaluate: _recorded(evaluate)[0].training,
    ),
    "eval_was_called": (
        "You ask whether eval() was called. When? And there are other ways into evaluation mode.",
        lambda evaluate: "eval" not in _recorded(evaluate)[0].called,
    ),
    "first_batch_only": (
        "You look at the first batch only. The mode can change behind it.",
        lambda evaluate: _recorded(evaluate)[0].modes[0],
        lambda evaluate: any(_recorded(evaluate, batches=1)[0].modes),
    ),
    "last_batch_only": (
        "You look at the last batch only. What about those before it?",
        lambda evaluate: _recorded(evaluate)[0].modes[-1],
    ),
}


# scores_another_token


def _log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def _surprises(logits, labels):
    return -_log_softmax(logits)[np.arange(len(labels)), labels]


def _next_token(model, ids):
    return _surprises(model(ids)[:-1], ids[1:]).mean()


def _cut_before(model, ids):
    return _surprises(model(ids[:-1]), ids[1:]).mean()


def _smoothed(model, ids):
    logs = _log_softmax(model(ids)[:-1])
    target = 0.8 * np.eye(logs.shape[1])[ids[1:]] + 0.2 / logs.shape[1]
    return -(target * logs).sum(axis=1).mean()


def _late_tokens(model, ids):
    return np.average(_surprises(model(ids)[:-1], ids[1:]), weights=np.arange(1, len(ids)))


def _errors(model, ids):
    return float((model(ids[:-1]).argmax(axis=1) != ids[1:]).mean())


def _shifted_twice(model, ids):
    x, y = ids[:-1], ids[1:]
    return _surprises(model(x)[:-1], y[1:]).mean()


_TOKENS = Programs(
    sound={"scores logits[:-1] with ids[1:]": _next_token, "cuts the text before the model reads it": _cut_before},
    odd={
        "adds up instead of averaging": lambda model, ids: _surprises(model(ids)[:-1], ids[1:]).sum(),
        "counts in bits": lambda model, ids: _surprises(model(ids)[:-1], ids[1:]).mean() / np.log(2),
        "smooths its labels": _smoothed,
        "gives later tokens more weight": _late_tokens,
        "counts wrong guesses": _errors,
        "leaves out the first tokens": lambda model, ids: _surprises(model(ids)[3:-1], ids[4:]).mean(),
    },
    faulty={
        "shifts the labels twice": _shifted_twice,
        "does not shift": lambda model, ids: _surprises(model(ids), ids).mean(),
    },
    hidden={
        "shifts the labels the wrong way": lambda model, ids: _surprises(model(ids)[1:], ids[:-1]).mean(),
        "shifts twice and adds up in bits": lambda model, ids: _surprises(model(ids)[:-2], ids[2:]).sum() / np.log(2),
        "scores the third token ahead": lambda model, ids: _surprises(model(ids)[:-3], ids[3:]).mean(),
    },
)


def _prophet(ids, distance, vocab_size):
    """A model that knows the text, and expects what stands `distance` ahead."""
    following = {int(token): int(ids[(i + distance) % len(ids)]) for i, token in enumerate(ids)}
    return lambda x: np.stack([8.0 * np.eye(vocab_size)[following[int(token)]] for token in x])


_READ = np.array([3, 8, 1, 6, 9, 0, 2, 7, 5, 4])


def _liked(loss, distance, ids=_READ):
    return loss(_prophet(ids, distance, 10), ids)


_TOKENS_WRONG = {
    "zero_wanted": (
        "You ask for a loss near 0. A program that smooths its labels never gets there, and scores the right token. "
        "Compare models with each other.",
        lambda loss: _liked(loss, 1) > 0.1,
    ),
    "echo_only": (
        "You compare with a model that repeats the token it reads. A program that looks two ahead likes neither.",
        lambda loss: _liked(loss, 0) < _liked(loss, 1),
    ),
    "two_ahead_only": (
        "You compare with a model that looks two ahead. What of a program that doesn't shift at all?",
        lambda loss: _liked(loss, 2) < _liked(loss, 1),
    ),
    "odd_shifts_pass": (
        "A program that looks one back, or three ahead, passes. Let each token of your text come once, so that the one "
        "before is not the one after, and count it as a fault if the right model is not liked better than others.",
        lambda loss: _liked(loss, 1, np.array([0, 1] * 5)) >= _liked(loss, 0, np.array([0, 1] * 5)),
    ),
}


# weights_do_not_sum_to_one


def _softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _attend(weights):
    return lambda q, k, v: weights(q, k) @ v


def _scores(q, k):
    return q @ k.T / np.sqrt(q.shape[1])


def _last_key_hidden(q, k):
    weights = _softmax(_scores(q, k))
    weights[:, -1] = 0
    return weights


def _query_by_query(q, k, v):
    out = []
    for row in q:
        e = np.exp(k @ row / np.sqrt(len(row)))
        out.append(e @ v / e.sum())
    return np.array(out)


def _key_by_key(q, k, v):
    out = np.zeros((len(q), v.shape[1]))
    for key, value in zip(k, v):
        e = np.exp(q @ key)
        out += np.outer(e / e.sum(), value)
    return out


def _nearest(q, k):
    return np.eye(len(k))[(q @ k.T).argmax(axis=1)]


def _by_distance(q, k):
    near = 1 / (1 + ((q[:, None] - k) ** 2).sum(axis=-1))
    return near / near.sum(axis=1, keepdims=True)


_SHARES = Programs(
    sound={
        "takes the softmax of the scaled scores over the keys": _attend(lambda q, k: _softmax(_scores(q, k))),
        "goes through the queries": _query_by_query,
    },
    odd={
        "does not scale": _attend(lambda q, k: _softmax(q @ k.T)),
        "takes the nearest key only": _attend(_nearest),
        "gives all keys the same weight": _attend(lambda q, k: np.full((len(q), len(k)), 1 / len(k))),
        "weighs by distance, without a softmax": _attend(_by_distance),
    },
    faulty={
        "takes the softmax over the queries": _attend(lambda q, k: _softmax(_scores(q, k), axis=0)),
        "takes the softmax over the whole table": _attend(lambda q, k: _softmax(_scores(q, k).ravel()).reshape(len(q), -1)),
    },
    hidden={
        "goes through the keys and shares out over the queries": _key_by_key,
        "scales behind the softmax": _attend(lambda q, k: _softmax(q @ k.T) / np.sqrt(q.shape[1])),
        "squashes each score by itself": _attend(lambda q, k: 1 / (1 + np.exp(-_scores(q, k)))),
        "hides the last key behind the softmax": _attend(_last_key_hidden),
        "takes the softmax over the whole table, times the number of queries": _attend(
            lambda q, k: len(q) * _softmax(_scores(q, k).ravel()).reshape(len(q), -1)
        ),
    },
)


def _small(seed, n, m):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=(m, 3))


def _share_sums(attend, n=4, m=6, axis=1, q=None, k=None):
    """The weights, read off with v = identity, summed up."""
    q, k = _small(6, n, m) if q is None else (q, k)
    return attend(q, k, np.eye(len(k))).sum(axis=axis)


def _leaves_the_range(seed):
    """Which faults such a test sees depends on its numbers: these seeds stand for the usual outcomes."""

    def test(attend):
        rng = np.random.default_rng(seed)
        q, k, v = rng.normal(size=(4, 3)), rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        out = attend(q, k, v)
        return bool((out > v.max(0) + 1e-9).any() or (out < v.min(0) - 1e-9).any())

    return test


def _own_attention_wanted(attend):
    q, k = _small(7, 4, 6)
    v = np.random.default_rng(10).normal(size=(6, 2))
    return not np.allclose(attend(q, k, v), _softmax(_scores(q, k)) @ v)


_SHARES_WRONG = {
    "zeros_put_in": (
        "A softmax over the queries passes. With as many queries as keys its weights have the right total, and with q "
        "and k all 0 they are the same table. Use random numbers, more keys than queries, and look at each query.",
        lambda attend: not np.allclose(_share_sums(attend, q=np.zeros((4, 3)), k=np.zeros((4, 3))), 1),
    ),
    "one_query_only": (
        "With a single query, the whole table is one row. Use several queries.",
        lambda attend: not np.allclose(_share_sums(attend, n=1), 1),
    ),
    "total_only": (
        "You look at the sum over all queries together. One may get more if another gets less: look at each.",
        lambda attend: not np.isclose(_share_sums(attend).sum(), 4),
    ),
    "columns_summed": (
        "You add up over the queries. It is each query that shares out 1 over the keys.",
        lambda attend: not np.allclose(_share_sums(attend, axis=0), 1),
    ),
    "own_attention_wanted": (
        "You compare with scaled dot-product attention. Other weights that sum to 1 are not this fault.",
        _own_attention_wanted,
    ),
    "range_looked_at": (
        "You ask whether the output leaves the range of v. Weights that sum to less than 1 stay inside, if v has "
        "both signs. What must come out if every row of v is the same?",
        *(_leaves_the_range(seed) for seed in (0, 2, 3, 8, 11, 15, 16)),
    ),
}


# keeps_other_weights


def _fit(keep, better=lambda new, old: new < old, give=lambda kept, weights: kept):
    """Training that keeps the best weights in its own way."""

    def fit(weights, step, loss, steps):
        lowest, kept = None, None
        for _ in range(steps):
            step(weights)
            now = loss(weights)
            if lowest is None or better(now, lowest):
                lowest, kept = now, keep(weights)
        return give(kept, weights)

    return fit


def _all_kept(weights, step, loss, steps):
    history = []
    for _ in range(steps):
        step(weights)
        history.append((loss(weights), [w.copy() for w in weights]))
    return min(history, key=lambda it: it[0])[1]


def _none_copied(weights, step, loss, steps):
    history = []
    for _ in range(steps):
        step(weights)
        history.append((loss(weights), [w[:] for w in weights]))
    return min(history, key=lambda it: it[0])[1]


def _put_back(kept, weights):
    for array, best in zip(weights, kept):
        array[...] = best
    return weights


def _first_copied(weights):
    return [weights[0].copy(), *weights[1:]]


_copies = lambda weights: [w.copy() for w in weights]  # noqa: E731

_KEPT = Programs(
    sound={"copies each array": _fit(_copies), "makes a deep copy": _fit(copy.deepcopy)},
    odd={
        "writes the weights into bytes and reads them again": _fit(pickle.dumps, give=lambda kept, weights: pickle.loads(kept)),
        "puts the best numbers back into the arrays that it was given": _fit(_copies, give=_put_back),
        "keeps a copy of every step and chooses at the end": _all_kept,
        "keeps the later one of two equal losses": _fit(_copies, better=lambda new, old: new <= old),
    },
    faulty={
        "keeps the list itself": _fit(lambda weights: weights),
        "copies the list and not the arrays": _fit(list),
    },
    hidden={
        "copies the first array only": _fit(_first_copied),
        "keeps views of the arrays for every step": _none_copied,
        "makes a shallow copy and puts it back": _fit(copy.copy, give=_put_back),
        "keeps the highest loss": _fit(_copies, better=lambda new, old: new > old),
        "keeps the last step": _fit(_copies, better=lambda new, old: True),
    },
)


def _counted_fit(fit, losses):
    """(kept, given): the weights count the steps; their losses are these."""
    given = [np.zeros(1), np.zeros((2, 2))]

    def step(weights):
        for i in range(len(weights)):
            weights[i] += 1

    return fit(given, step, lambda weights: losses[int(weights[0][0]) - 1], len(losses)), given


def _steps_of(kept):
    return [int(array.flat[0]) for array in kept]


def _shares_memory(fit):
    kept, given = _counted_fit(fit, [4.0, 3.0, 5.0, 6.0])
    return any(np.shares_memory(a, b) for a, b in zip(kept, given))


def _same_object(fit):
    kept, given = _counted_fit(fit, [4.0, 3.0, 5.0, 6.0])
    return kept is given


_KEPT_WRONG = {
    "loss_only_falls": (
        "Your losses only fall, so the last weights are the best, and whoever kept nothing is right. "
        "Let the loss rise again.",
        lambda fit: _steps_of(_counted_fit(fit, [4.0, 3.0, 2.0])[0]) != [3, 3],
    ),
    "first_array_only": (
        "You look at the first array only.",
        lambda fit: _steps_of(_counted_fit(fit, [4.0, 3.0, 5.0, 6.0])[0])[0] != 2,
    ),
    "same_object": (
        "You ask whether the list is the one you gave. A new list can hold the old arrays; and the old arrays may hold "
        "the right numbers.",
        _same_object,
    ),
    "shared_memory": (
        "You ask whether memory is shared. Sharing is no fault if the right numbers are put back, and a copy can hold "
        "the wrong ones. Look at the numbers.",
        _shares_memory,
    ),
}


# wrong_for_bytes


def _sixteen_bits(a, b):
    difference = np.abs(a.astype(np.int16) - b.astype(np.int16)).astype(np.uint16)
    return difference.sum(dtype=np.uint16) / difference.size


def _half_precision(a, b):
    with np.errstate(over="ignore"):
        return float(np.abs(a.astype(np.float64) - b).astype(np.float16).sum(dtype=np.float16)) / a.size


def _by_table(a, b):
    numbers = np.arange(256)
    return float(np.abs(numbers[:, None] - numbers)[a, b].mean())


_BYTES = Programs(
    sound={
        "turns bytes into int16 first": lambda a, b: float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean()),
        "turns bytes into float64 first": lambda a, b: float(np.abs(a.astype(float) - b).mean()),
    },
    odd={
        "subtracts the smaller byte from the larger": lambda a, b: float((np.maximum(a, b) - np.minimum(a, b)).mean()),
        "subtracts both ways and chooses": lambda a, b: float(np.where(a > b, a - b, b - a).mean()),
        "looks the differences up in a table": _by_table,
        "gives a float32": lambda a, b: np.abs(a.astype(np.float32) - b.astype(np.float32)).mean(dtype=np.float32),
    },
    faulty={
        "subtracts bytes": lambda a, b: float(np.abs(a - b).mean()),
        "turns the difference of bytes into floats": lambda a, b: float(np.abs((a - b).astype(float)).mean()),
    },
    hidden={
        "takes the smaller of the two differences of bytes": lambda a, b: float(np.minimum(a - b, b - a).mean()),
        "turns bytes into int8 first": lambda a, b: float(
            np.abs(a.astype(np.int8).astype(int) - b.astype(np.int8).astype(int)).mean()
        ),
        "throws away the last bit of each byte": lambda a, b: 2 * float(np.abs((a >> 1).astype(int) - (b >> 1)).mean()),
        "adds up in 16 bits": _sixteen_bits,
        "adds up in half precision": _half_precision,
        "counts only what got darker": lambda a, b: float(np.clip(a.astype(int) - b, 0, None).mean()),
    },
)


def _bytes_test(pairs, both_ways=True):
    def test(distance):
        for low, high, shape in pairs:
            images = np.full(shape, low, np.uint8), np.full(shape, high, np.uint8)
            for a, b in (images, images[::-1]) if both_ways else (images[::-1],):
                if not np.isclose(distance(a, b), high - low, atol=1e-3):
                    return True
        return False

    return test


def _symmetry_only(distance):
    a, b = np.random.default_rng(11).integers(0, 256, (2, 5, 5)).astype(np.uint8)
    return not np.isclose(distance(a, b), distance(b, a))


def _double_wanted(distance):
    result = distance(np.array([3], np.uint8), np.array([5], np.uint8))
    return np.asarray(result).dtype != np.float64 or not np.isclose(result, 2)


_BYTES_WRONG = {
    "small_differences_only": (
        "Your bytes lie close together. Try 0 and 200 as well, and 0 and 255.",
        _bytes_test([(0, 1, 3), (10, 40, (2, 2)), (3, 3, 1), (0, 9, 50_000)]),
        _bytes_test([(0, 1, 3), (10, 40, (2, 2)), (3, 3, 1)]),
    ),
    "one_way_only": (
        "Your first image is always the brighter one. Swap them.",
        _bytes_test([(0, 1, 3), (0, 200, (2, 2)), (0, 255, 70_000)], both_ways=False),
    ),
    "few_pixels_only": (
        "Your images have few pixels. A sum can overflow as well as a difference.",
        _bytes_test([(0, 1, 3), (0, 200, (2, 2)), (7, 255, (3, 3))]),
    ),
    "symmetry_only": (
        "You swap the images and compare. A distance can be wrong in the same way both times.",
        _symmetry_only,
    ),
    "double_wanted": (
        "You look at the dtype of the result. Which values are wrong?",
        _double_wanted,
    ),
}


# shares_luck


def _seeded_by(seed_of):
    return lambda experiment, n, seed: [experiment(np.random.default_rng(seed_of(seed, i))) for i in range(n)]


def _one_generator(experiment, n, seed):
    rng = np.random.default_rng(seed)
    return [experiment(rng) for _ in range(n)]


def _spawned(experiment, n, seed):
    return [experiment(rng) for rng in np.random.default_rng(seed).spawn(n)]


def _copied_generator(experiment, n, seed):
    rng = np.random.default_rng(seed)
    return [experiment(copy.deepcopy(rng)) for _ in range(n)]


def _two_halves(experiment, n, seed):
    first = _one_generator(experiment, n - n // 2, seed)
    return first + _one_generator(experiment, n // 2, seed)


_LUCK = Programs(
    sound={
        "uses one generator for all": _one_generator,
        "spawns a generator for each": _spawned,
    },
    odd={
        "seeds with seed + i": _seeded_by(lambda seed, i: seed + i),
        "seeds with the squares, from behind": _seeded_by(lambda seed, i: [seed, (1000 - i) ** 2]),
        "asks the machine for new random bits each time": lambda experiment, n, seed: [
            experiment(np.random.default_rng()) for _ in range(n)
        ],
    },
    faulty={
        "makes the same generator in the loop": _seeded_by(lambda seed, i: seed),
        "copies the generator for each repeat": _copied_generator,
    },
    hidden={
        "uses each seed for two": _seeded_by(lambda seed, i: seed + i // 2),
        "begins again at the fifth": _seeded_by(lambda seed, i: seed + i % 5),
        "seeds both halves alike": _two_halves,
        "seeds the eighth like the seventh": _seeded_by(lambda seed, i: seed + i - (i == 7)),
    },
)


def _draws(repeat, n=14, seed=3):
    return [float(it) for it in repeat(lambda rng: rng.normal(), n, seed)]


_LUCK_WRONG = {
    "all_alike_only": (
        "You ask whether all results are the same. Two that share their luck are one repeat too few already.",
        lambda repeat: len(set(_draws(repeat))) == 1,
    ),
    "two_repeats_only": (
        "You compare two repeats. The third can be the first again.",
        lambda repeat: len(set(_draws(repeat, n=2))) < 2,
    ),
    "neighbours_only": (
        "You compare each repeat with the one before. Equal ones needn't stand side by side.",
        lambda repeat: any(a == b for a, b in zip(_draws(repeat), _draws(repeat)[1:])),
    ),
    "repeatability_tested": (
        "You call it twice and compare. That tells whether the experiment can be repeated, not whether its repeats differ.",
        lambda repeat: _draws(repeat) != _draws(repeat),
    ),
}


# is_another_divergence


def _loop_kl(p, q):
    total = 0.0
    for a, b in zip(p, q):
        total += a * (np.log(a) - np.log(b))
    return total


def _kl(p, q):
    return float(np.sum(p * np.log(p / q)))


_DIVERGENCES = Programs(
    sound={"adds up p log(p / q)": _kl, "goes through the classes": _loop_kl},
    odd={
        "counts in bits": lambda p, q: float(np.sum(p * np.log2(p / q))),
        "averages over the classes": lambda p, q: float(np.mean(p * np.log(p / q))),
        "takes the entropy off the cross-entropy": lambda p, q: float(-(p @ np.log(q)) + p @ np.log(p)),
        "adds up -p log(q / p)": lambda p, q: -float(np.sum(p * np.log(q / p))),
    },
    faulty={
        "adds up q log(q / p)": lambda p, q: _kl(q, p),
        "adds up -p log q": lambda p, q: -float(np.sum(p * np.log(q))),
    },
    hidden={
        "adds up q log(p / q)": lambda p, q: float(np.sum(q * np.log(p / q))),
        "adds up p log(q / p)": lambda p, q: float(np.sum(p * np.log(q / p))),
        "adds both directions": lambda p, q: _kl(p, q) + _kl(q, p),
        "compares both with their mean": lambda p, q: _kl(p, (p + q) / 2) / 2 + _kl(q, (p + q) / 2) / 2,
        "averages log(p / q) without weights": lambda p, q: float(np.mean(np.log(p / q))),
        "adds up the absolute differences": lambda p, q: float(np.abs(p - q).sum()),
    },
)
_P, _Q = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.2, 0.6])


def _mirror_only(divergence):
    p = np.array([0.8, 0.2])
    there = divergence(p, p[::-1])
    return not np.isclose(there, divergence(p[::-1], p)) or there < 1e-9


_DIVERGENCES_WRONG = {
    "nats_wanted": (
        "You compare with one number in nats. The same divergence in bits is another number: look at something in which "
        "the unit cancels.",
        lambda divergence: not np.isclose(divergence(_P, _Q), _kl(_P, _Q)),
    ),
    "mirrored_pair": (
        "Your q is p read from behind: both directions give the same number. Take a pair for which they differ.",
        _mirror_only,
    ),
    "zero_at_equal_only": (
        "You ask for 0 where p equals q. Every divergence gives that, in either direction.",
        lambda divergence: not np.isclose(divergence(_P, _P), 0),
    ),
    "sign_ignored": (
        "A program that forgot the minus passes: your ratio doesn't see a sign. The divergence must be above 0.",
        lambda divergence: not np.isclose(divergence(_P, _Q) * _kl(_Q, _P), divergence(_Q, _P) * _kl(_P, _Q)),
    ),
    "asymmetry_only": (
        "You ask whether both directions differ. They do in the wrong direction as well.",
        lambda divergence: np.isclose(divergence(_P, _Q[[0, 2, 1]]), divergence(_Q[[0, 2, 1]], _P)),
    ),
}


# may_charge_twice


def _paying(key_of, tries=3):
    def pay(send, amount, order):
        for attempt in range(tries):
            try:
                return send(amount, key_of(order, attempt))
            except TimeoutError:
                if attempt == tries - 1:
                    raise

    return pay


def _same_object_key(send, amount, order):
    key = ("payment", order, amount)
    for _ in range(3):
        try:
            return send(amount, key)
        except TimeoutError:
            continue
    raise TimeoutError(order)


def _asks_again(send, amount, order):
    _paying(lambda order, attempt: order)(send, amount, order)
    return send(amount, order)  # the receipt once more, by the same key


def _confirms(send, amount, order):
    receipt = _paying(lambda order, attempt: order)(send, amount, order)
    send(amount, f"{order} confirmed")
    return receipt


def _other_key_behind(send, amount, order):
    try:
        return send(amount, order)
    except TimeoutError:
        return _paying(lambda order, attempt: f"{order} again")(send, amount, order)


_PAYMENTS = Programs(
    sound={
        "sends the order as the key in each try": _paying(lambda order, attempt: order),
        "never tries again": _paying(lambda order, attempt: order, tries=1),
    },
    odd={
        "makes a key of order and amount": _same_object_key,
        "tries ten times with one key": _paying(lambda order, attempt: f"key of {order}", tries=10),
        "asks for the receipt again with the same key": _asks_again,
        "sends no key and never tries again": _paying(lambda order, attempt: None, tries=1),
    },
    faulty={
        "makes a new key for each try": _paying(lambda order, attempt: f"{order}, try {attempt}"),
        "sends no key": _paying(lambda order, attempt: None),
    },
    hidden={
        "changes the key at the third try": _paying(lambda order, attempt: (order, attempt // 2)),
        "uses another key behind the first try": _other_key_behind,
        "confirms the payment by another one": _confirms,
    },
    errors={TimeoutError: "Your test raised TimeoutError. pay may raise it, as your bank does: catch it around pay."},
)


def _charges(pay, answers, before=False, none_is_a_key=False):
    """(keys sent, keys charged for) with a bank whose answers get lost ("lost") or arrive ("fine")."""
    left, sent, charged = list(answers), [], []

    def send(amount, key):
        sent.append(key)
        lost = bool(left) and left.pop(0) == "lost"
        if lost and before:
            raise TimeoutError
        if key not in charged or key is None and not none_is_a_key:
            charged.append(key)
        if lost:
            raise TimeoutError
        return "receipt"

    try:
        pay(send, 25, "lamp")
    except TimeoutError:
        pass
    return sent, charged


def _bank_test(*scripts, count=lambda sent, charged: len(charged), **how):
    return lambda pay: any(count(*_charges(pay, script, **how)) > 1 for script in scripts)


_LOST = ([], ["lost"], ["lost", "lost"], ["lost"] * 3)

_PAYMENTS_WRONG = {
    "answers_never_lost": (
        "Your bank never fails after it has charged. That is the case that matters: money gone, answer lost.",
        _bank_test([]),
        _bank_test(["lost"], ["lost", "lost"], before=True),
    ),
    "one_answer_lost": (
        "You lose one answer only. What is sent at the third try?",
        _bank_test([], ["lost"]),
    ),
    "calls_counted": (
        "You count the calls. Asking twice with the same key charges once: that is what keys are for.",
        _bank_test(*_LOST, count=lambda sent, charged: len(sent)),
    ),
    "none_is_a_key": (
        "Your bank takes None for a key that it has seen. Without a key it charges each time.",
        _bank_test(*_LOST, none_is_a_key=True),
        _bank_test(["lost"] * 20, none_is_a_key=True),
    ),
    "no_answer_ever": (
        "Your bank never answers. A program may charge once more when the answer has come: let 0, 1 and 2 answers get lost.",
        _bank_test(["lost"] * 20),
    ),
}


EXERCISES = (
    _PADDED.exercise(
        padding_counts, 2, 10, "Item 1",
        (
            "You need no right answer: call it twice, with something changed that must not matter, and compare.",
            "Two things must not matter: which numbers stand in the padding, and how many columns of it there are.",
            "np.where(real, losses, 77.0) with real = np.arange(4) < lengths[:, None]; np.pad(losses, ((0, 0), (0, 3))).",
        ),
        _PADDED_WRONG,
    ),
    _LUCK.exercise(
        shares_luck, 1, 5, "Item 2",
        (
            "Which experiment gives a number that no other stream of random numbers would give?",
            "rng.random() does. Are 12 of them all different?",
            "results = repeat(lambda rng: rng.random(), 12, 0); compare len(set(results)) with 12.",
        ),
        _LUCK_WRONG,
    ),
    _SHARES.exercise(
        weights_do_not_sum_to_one, 2, 8, "Item 3",
        (
            "You don't see the weights. For which v can you tell their sum from the output?",
            "If every row of v is the same, a weighted sum with weights that sum to 1 gives that row back.",
            "v = np.ones((5, 2)), random q (3, 4) and k (5, 4): is the output 1 everywhere, by np.allclose?",
        ),
        _SHARES_WRONG,
    ),
    _PAYMENTS.exercise(
        may_charge_twice, 4, 15, "Item 4",
        (
            "Write a bank that keeps a list of what it charged, and can lose its answer behind that.",
            "Let 0, 1 and 2 answers get lost, by raising TimeoutError behind the charge, and count the charges each time.",
            "Inside send: append to `charged` if key is None or not in it; raise TimeoutError for the first `lost` calls. "
            "pay may raise TimeoutError itself: catch it.",
        ),
        _PAYMENTS_WRONG,
    ),
    _ROWS.exercise(
        depends_on_test_rows, 3, 12, "Item 5",
        (
            "Change test rows, and see which results move though they must not.",
            "Keep one test row and change all others a lot: no training row may move, nor that test row. Do so for each.",
            "other = 50 * test + 100; other[i] = test[i]; compare prepare(train, test) with prepare(train, other): [0] "
            "whole, [1][i].",
        ),
        _ROWS_WRONG,
    ),
    _BYTES.exercise(
        wrong_for_bytes, 3, 10, "Item 6",
        (
            "Two images of one grey each: what is their distance? Which greys are the hardest?",
            "Try a small difference and large ones, darker first and brighter first, one pixel and many.",
            "np.full(pixels, low, np.uint8) and the same with high: the distance is high - low both ways, for "
            "(0, 1, 1), (0, 200, 1), (0, 255, 70_000).",
        ),
        _BYTES_WRONG,
    ),
    _TOKENS.exercise(
        scores_another_token, 4, 15, "Item 7",
        (
            "Make a model that knows the text. Which of its relatives would the program like better, if it looked elsewhere?",
            "Take models that expect what stands -1, 0, 1 and 2 places ahead; the one with 1 must have the lowest loss.",
            "ids = a permutation, place = np.argsort(ids); a model: "
            "lambda x: 9.0 * np.eye(12)[ids[(place[x] + distance) % 12]].",
        ),
        _TOKENS_WRONG,
    ),
    _MODES.exercise(
        evaluates_in_training_mode, 3, 12, "Item 8",
        (
            "Write a model that only pretends, and notes what is done to it.",
            "In its __call__ append self.training to a list; train(mode) and eval() set self.training.",
            "Evaluate it on three batches. The fault is there if any of the noted modes is True.",
        ),
        _MODES_WRONG,
    ),
    _DIVERGENCES.exercise(
        is_another_divergence, 3, 12, "Item 9",
        (
            "Take a p and a q for which both directions differ, and work both out yourself.",
            "The unit is a factor: it cancels in divergence(q, p) / divergence(p, q).",
            "Compare that ratio with your own, for p = [0.5, 0.5], q = [0.9, 0.1]. A ratio doesn't see a sign: the "
            "divergence must be above 0 as well.",
        ),
        _DIVERGENCES_WRONG,
    ),
    _KEPT.exercise(
        keeps_other_weights, 3, 12, "Item 10",
        (
            "Make weights that tell at which step they were kept.",
            "step adds 1 to every array in place; the losses are 3, 1, 2, looked up by the number in the weights.",
            "Every array of what comes back must hold 2 everywhere.",
        ),
        _KEPT_WRONG,
    ),
)
