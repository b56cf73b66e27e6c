"""Exercises of lesson 03."""

from __future__ import annotations

import math

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def softmax(logits):
    """Probabilities from logits, over the last axis, without overflow.

    logits: float64 array (K,), (N, K) or (B, T, K); -inf stands for probability 0
    -> array of the same shape
    """
    largest = logits.max(axis=-1, keepdims=True)
    e = np.exp(logits - largest)
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(logits, labels):
    """Mean surprise of the right classes, in nats.

    logits: float64 array (N, K); labels: int array (N,) -> float
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (N, K)
    return float(-log_probs[np.arange(len(labels)), labels].mean())


def cross_entropy_gradient(logits, labels):
    """Gradient of the mean cross-entropy for each logit.

    logits: float64 array (N, K); labels: int array (N,) -> array (N, K)
    """
    gradient = softmax(logits)
    gradient[np.arange(len(labels)), labels] -= 1
    return gradient / len(labels)


def kl_divergence(p, q):
    """KL(p || q) in nats: what it costs to expect q where p is true.

    p, q: float64 arrays (K,), each sums to 1, zeros allowed -> float, inf where q rules out
    what p allows
    """
    possible = p > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(p[possible] * np.log(p[possible] / q[possible])))


def perplexity(probs):
    """Perplexity of a text.

    probs: float64 array (T,), the probability that a model gave to each token that came -> float,
    inf if one of them is 0
    """
    with np.errstate(divide="ignore"):
        return float(np.exp(-np.log(probs).mean()))


def _quiet(function):
    """The function without NumPy's warnings of overflow and 0/0."""

    def quiet(*case):
        with np.errstate(all="ignore"):
            return function(*case)

    return quiet


def _unstable(logits, axis=-1):
    e = np.exp(logits)
    return e / e.sum(axis=axis, keepdims=True)


def _stable(logits, axis=-1):
    return _unstable(logits - logits.max(axis=axis, keepdims=True), axis)


def _one_hot(logits, labels):
    return np.eye(logits.shape[-1])[labels]


# softmax


def _softmax_sample(rng):
    shape = [(4,), (3, 5), (2, 3, 4)][rng.integers(3)]
    return (rng.normal(size=shape) * rng.choice([1.0, 3.0, 300.0]),)


def _softmax_oracle(logits):
    """Entry by entry: 1 / sum of exp of differences."""
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    out = []
    for row in rows:
        for a in row:
            differences = [b - a for b in row] if a > -math.inf else [math.inf]
            out.append(0.0 if max(differences) > 700 else 1 / sum(map(math.exp, differences)))
    return np.array(out).reshape(logits.shape)


def _check_softmax_by_hand(attempt):
    logits = np.log(np.array([1.0, 2.0, 5.0]))
    got = attempt.expect((logits,), np.array([0.125, 0.25, 0.625]), "These are the logs of 1, 2 and 5.")
    if abs(got.sum() - 1) > 5e-13:
        text = f"Your three probabilities sum to {got.sum():.12f}; expected 1. Is a small constant added somewhere?"
        raise Failed(f"{text} With the largest exponent at 0 the sum below the line is at least 1.", (logits,))


def _check_softmax_random(attempt):
    rng = np.random.default_rng(1)
    for shape in ((6,), (4, 3), (3, 3), (2, 3, 5), (1, 7), (5, 1)):
        logits = rng.normal(size=shape) * 2
        attempt.expect((logits,), _softmax_oracle(logits))


def _check_softmax_large(attempt):
    for row in ([1000.0, 1001.0, 999.0], [-1000.0, -1002.0, -1000.5], [0.0, 2000.0, -3000.0]):
        logits = np.array([row, [0.0, 1.0, 2.0]])
        why = "exp overflows above about 709; the result is an ordinary number all the same."
        attempt.expect((logits,), _softmax_oracle(logits), why)


def _check_softmax_invariance(attempt):
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(3, 4))
    why = "Adding one constant to a row changes nothing."
    shifted = logits + np.array([[5.0], [-30.0], [1e4]])
    attempt.expect((shifted,), _softmax_oracle(logits), why)


def _check_softmax_masked(attempt):
    logits = np.array([[0.0, -np.inf, 0.0], [-np.inf, -np.inf, 3.0]])
    expected = np.array([[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])
    attempt.expect((logits,), expected, "A logit of -inf has probability 0.")


def _softmax_probes():
    rng = np.random.default_rng(3)
    return [
        (rng.normal(size=(3, 4)) * 2,),
        (rng.normal(size=(2, 3, 4)),),
        (np.array([[900.0, 901.0, 902.5], [0.3, 0.1, -0.4]]),),
        (np.array([[1.0, 2.0, -1.5], [-900.0, -901.5, -899.0]]),),
        (np.array([0.5, 1.5, -0.7, 2.0]),),
    ]


def _softmax_axis_0(logits):
    return _stable(logits, 0)


_AXIS_FORMS = tuple(
    _quiet(lambda z, f=f, axis=axis: f(z, axis)) for f in (_stable, _unstable) for axis in (0, 1, -2)
)[1:]


def _softmax_all(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def _softmax_all_unstable(logits):
    e = np.exp(logits)
    return e / e.sum()


def _softmax_global_max(logits):
    return _unstable(logits - logits.max())


def _softmax_no_exp(logits):
    return logits / logits.sum(axis=-1, keepdims=True)


def _softmax_no_exp_shifted(logits):
    return _softmax_no_exp(logits - logits.max(axis=-1, keepdims=True))


def _softmax_no_exp_from_zero(logits):
    return _softmax_no_exp(logits - logits.min(axis=-1, keepdims=True))


def _softmax_log(logits):
    return np.log(_stable(logits))


def _softmax_log_shifted(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _softmax_log_unstable(logits):
    return np.log(_unstable(logits))


def _softmax_log_sum_exp_unstable(logits):
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def _softmax_sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def _softmax_sigmoid_shared(logits):
    p = 1 / (1 + np.exp(-logits))
    return p / p.sum(axis=-1, keepdims=True)


def _softmax_unnormalised(logits):
    return np.exp(logits - logits.max(axis=-1, keepdims=True))


def _softmax_exp_only(logits):
    return np.exp(logits)


def _softmax_half_shifted(logits):
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / np.exp(logits).sum(axis=-1, keepdims=True)


def _softmax_half_shifted_below(logits):
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.exp(logits) / shifted.sum(axis=-1, keepdims=True)


def _softmax_base_2(logits):
    e = 2.0 ** (logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _softmax_base_2_unstable(logits):
    e = 2.0**logits
    return e / e.sum(axis=-1, keepdims=True)


_SOFTMAX_MISCONCEPTIONS = (
    Misconception(
        "no_exponential",
        _quiet(_softmax_no_exp),
        "You share out the logits themselves; some are negative. Which function makes any number "
        "positive and keeps the order?",
        also=(_quiet(_softmax_no_exp_shifted), _quiet(_softmax_no_exp_from_zero)),
    ),
    Misconception(
        "overflow",
        _quiet(_unstable),
        "Right for small logits, nan for large ones: exp(1000) is inf. Which number can you "
        "subtract from every logit of a row without changing the result?",
    ),
    Misconception(
        "one_maximum_for_all_rows",
        _quiet(_softmax_global_max),
        "You subtract the largest logit of the whole array. In a row far below it every exp is 0, "
        "and 0/0 is nan. Whose maximum does each row need?",
    ),
    Misconception(
        "wrong_axis",
        _quiet(_softmax_axis_0),
        "Your result does not sum to 1 along the last axis. Over which axis do the classes lie?",
        also=_AXIS_FORMS,
    ),
    Misconception(
        "over_everything",
        _quiet(_softmax_all),
        "All entries together sum to 1. Each row is a distribution of its own: what must `sum` "
        "be told?",
        also=(_quiet(_softmax_all_unstable),),
    ),
    Misconception(
        "log_softmax",
        _quiet(_softmax_log_shifted),
        "These are log-probabilities: all are at most 0. What undoes the logarithm?",
        also=tuple(
            map(_quiet, (_softmax_log, _softmax_log_unstable, _softmax_log_sum_exp_unstable))
        ),
    ),
    Misconception(
        "sigmoid_of_each",
        _quiet(_softmax_sigmoid),
        "You squash each logit by itself. A class must lose what another gains: what do you "
        "divide by?",
        also=(_quiet(_softmax_sigmoid_shared),),
    ),
    Misconception(
        "not_normalised",
        _quiet(_softmax_unnormalised),
        "Your entries are positive, but a row does not sum to 1. Which division is missing?",
        also=(_quiet(_softmax_exp_only),),
    ),
    Misconception(
        "shifted_in_one_place",
        _quiet(_softmax_half_shifted),
        "You subtract the maximum in the numerator or in the sum, not in both. Does the factor "
        "exp(max) then cancel?",
        also=(_quiet(_softmax_half_shifted_below),),
    ),
    Misconception(
        "base_two",
        _quiet(_softmax_base_2),
        "You raise 2 to the logits. Which base does the formula have?",
        also=(_quiet(_softmax_base_2_unstable),),
    ),
    Misconception(
        "sign_of_the_logits",
        _quiet(lambda z: _stable(-z)),
        "Your largest logit has the smallest probability. Is there a minus sign too many?",
        also=(_quiet(lambda z: _unstable(-z)),),
    ),
)


# cross_entropy


def _ce_case(rng, N=None, K=None, scale=2.0):
    N, K = N or int(rng.integers(2, 7)), K or int(rng.integers(2, 7))
    return rng.normal(size=(N, K)) * scale, rng.integers(0, K, size=N)


def _ce_sample(rng):
    return _ce_case(rng, scale=rng.choice([1.0, 3.0, 400.0]))


def _ce_oracle(logits, labels):
    """Row by row, with log-sum-exp in math.fsum."""
    total = []
    for row, label in zip(logits.tolist(), labels.tolist()):
        top = max(row)
        total.append(top + math.log(math.fsum(math.exp(a - top) for a in row)) - row[label])
    return math.fsum(total) / len(total)


def _check_ce_by_hand(attempt):
    logits = np.log(np.array([[1.0, 1.0], [1.0, 3.0]]))
    why = "The right classes have the probabilities 1/2 and 3/4."
    attempt.expect((logits, np.array([0, 1])), (math.log(2) + math.log(4 / 3)) / 2, why)


def _check_ce_random(attempt):
    rng = np.random.default_rng(4)
    for _ in range(12):
        case = _ce_case(rng)
        attempt.expect(case, _ce_oracle(*case))


def _check_ce_large(attempt):
    rng = np.random.default_rng(5)
    for _ in range(3):
        case = _ce_case(rng, scale=800.0)
        why = "Logits in the hundreds: neither inf nor a probability rounded to 0."
        attempt.expect(case, _ce_oracle(*case), why)


def _check_ce_edges(attempt):
    rng = np.random.default_rng(6)
    for sizes in ({"N": 1}, {"K": 1}, {"N": 1, "K": 2}, {"N": 5, "K": 5}, {"N": 3, "K": 40}):
        case = _ce_case(rng, **sizes)
        attempt.expect(case, _ce_oracle(*case))


def _check_ce_shift(attempt):
    rng = np.random.default_rng(7)
    logits, labels = _ce_case(rng, N=4, K=3)
    why = "Adding a constant to a row of logits changes no probability."
    attempt.expect((logits + rng.normal(size=(4, 1)) * 50, labels), _ce_oracle(logits, labels), why)


def _ce_probes():
    rng = np.random.default_rng(8)
    large = np.array([[950.0, 0.0, 3.0], [0.5, 0.2, 1.0], [-1.0, 2.0, 0.0], [1.0, 0.2, 0.4]])
    return [
        _ce_case(rng, N=4, K=3),
        _ce_case(rng, N=3, K=5, scale=1.0),
        (large, np.array([1, 2, 0, 0])),
        (np.array([[0.4, -1.0, 0.3], [1.5, 0.7, 0.1]]), np.array([2, 0])),
    ]


def _chosen(values, labels):
    return values[np.arange(len(labels)), labels]


def _log_probs(logits, axis=-1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _log_of(soft):
    return lambda logits: np.log(soft(logits))


_LOGS = (_log_probs, _log_of(_stable), _log_of(_unstable))  # exact, rounded to log 0, overflowing
_SOFTS = (_stable, _unstable)


def _forms(over, make):
    """`make(x)` for each x, without warnings: the first is the usual form, the others are also it."""
    return tuple(_quiet(make(x)) for x in over)


_CE_UNSTABLE = _forms(
    _LOGS[1:], lambda log: lambda z, y: float(-_chosen(log(z), y).mean())
) + (
    _quiet(lambda z, y: float((np.log(np.exp(z).sum(axis=1)) - _chosen(z, y)).mean())),
)
_CE_TWICE = _forms(
    _SOFTS, lambda soft: lambda z, y: float(-_chosen(_log_probs(soft(z)), y).mean())
)
_CE_SUM = _forms(_LOGS, lambda log: lambda z, y: float(-_chosen(log(z), y).sum()))
_CE_SIGN = _forms(_LOGS, lambda log: lambda z, y: float(_chosen(log(z), y).mean()))
_CE_BITS = _forms(_LOGS, lambda log: lambda z, y: float(-_chosen(log(z), y).mean() / math.log(2)))
_CE_ALL = _forms(_LOGS[:1], lambda log: lambda z, y: float(-(_one_hot(z, y) * log(z)).mean())) + (
    _forms(_LOGS, lambda log: lambda z, y: float(-_chosen(log(z), y).mean() / z.shape[1]))[1:]
)
_CE_NO_LOG = _forms(_SOFTS, lambda soft: lambda z, y: float(-_chosen(soft(z), y).mean())) + _forms(
    _SOFTS, lambda soft: lambda z, y: float(1 - _chosen(soft(z), y).mean())
)
_CE_LOG_OF_MEAN = _forms(
    _SOFTS, lambda soft: lambda z, y: float(-np.log(_chosen(soft(z), y).mean()))
)
_CE_AXIS = _forms(
    (lambda z: _log_probs(z, 0), lambda z: np.log(_unstable(z, 0)), lambda z: np.log(_stable(z, 0))),
    lambda log: lambda z, y: float(-_chosen(log(z), y).mean()),
)
_EPSILONS = (1e-12, 1e-15, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-16, 1e-20, 1e-30)
_CE_CLIPPED = tuple(
    _quiet(lambda z, y, e=e: float(-np.log(np.maximum(_chosen(_stable(z), y), e)).mean()))
    for e in _EPSILONS
)


def _binary(soft, reduce):
    def loss(logits, labels):
        p, y = soft(logits), _one_hot(logits, labels)
        terms = y * np.log(np.where(y > 0, p, 1.0)) + (1 - y) * np.log(np.where(y > 0, 1.0, 1 - p))
        return float(-reduce(terms))

    return loss


_CE_BINARY = tuple(
    _quiet(_binary(soft, reduce))
    for reduce in (lambda t: t.sum(axis=1).mean(), lambda t: t.mean())
    for soft in _SOFTS
)

_CE_MISCONCEPTIONS = (
    Misconception(
        "softmax_twice",
        _CE_TWICE[0],
        "Your loss stays near log(K), however sure the logits are. How often is a softmax applied "
        "on the way from the logits to the logarithm?",
        also=_CE_TWICE[1:],
    ),
    Misconception(
        "not_stable",
        _CE_UNSTABLE[0],
        "Right for small logits, inf or nan for large ones. A probability is rounded to 0 or exp "
        "overflows before the logarithm is taken. Can you write log p without computing p?",
        also=_CE_UNSTABLE[1:],
    ),
    Misconception(
        "probability_clipped",
        _CE_CLIPPED[0],
        "A small constant keeps your logarithm finite, and so a surprise of 950 nats becomes about "
        "28, with no gradient. Which form of log p needs no constant?",
        also=_CE_CLIPPED[1:],
    ),
    Misconception(
        "no_softmax",
        _quiet(lambda z, y: float(-_chosen(z, y).mean())),
        "You take the logits for log-probabilities. What must be subtracted from each row first?",
        also=(_quiet(lambda z, y: float(-np.log(_chosen(z, y)).mean())),),
    ),
    Misconception(
        "sum_instead_of_mean",
        _CE_SUM[0],
        "Your loss grows with the number of rows, and so would the step of gradient descent. What "
        "do you divide by?",
        also=_CE_SUM[1:],
    ),
    Misconception(
        "mean_over_classes_too",
        _CE_ALL[0],
        "Your loss is K times too small. Of each row only one entry counts: over how many numbers "
        "do you average?",
        also=_CE_ALL[1:],
    ),
    Misconception(
        "sign_missing",
        _CE_SIGN[0],
        "Your loss is negative. Which sign has the logarithm of a probability?",
        also=_CE_SIGN[1:],
    ),
    Misconception(
        "bits_instead_of_nats",
        _CE_BITS[0],
        "Your result is in bits. Which logarithm gives nats?",
        also=_CE_BITS[1:],
    ),
    Misconception(
        "no_logarithm",
        _CE_NO_LOG[0],
        "You average probabilities. The loss averages surprises: what is the surprise of p?",
        also=_CE_NO_LOG[1:],
    ),
    Misconception(
        "logarithm_of_the_mean",
        _CE_LOG_OF_MEAN[0],
        "You average the probabilities and then take one logarithm. Which comes first?",
        also=_CE_LOG_OF_MEAN[1:],
    ),
    Misconception(
        "softmax_over_rows",
        _CE_AXIS[0],
        "Your probabilities sum to 1 down the columns. Over which axis of (N, K) do the classes lie?",
        also=_CE_AXIS[1:],
    ),
    Misconception(
        "a_binary_loss_for_each_class",
        _CE_BINARY[0],
        "You add log(1 - p) for the wrong classes. With a softmax they are already paid for: what "
        "happens to the right class when a wrong one rises?",
        also=_CE_BINARY[1:],
    ),
)


# cross_entropy_gradient


def _gradient_oracle(logits, labels):
    """Entry by entry from the derivative of log-sum-exp."""
    p = _softmax_oracle(logits)
    out = [
        [(p[n, k] - (1.0 if k == labels[n] else 0.0)) / len(labels) for k in range(p.shape[1])]
        for n in range(len(labels))
    ]
    return np.array(out)


def _check_gradient_by_hand(attempt):
    logits = np.log(np.array([[1.0, 1.0], [1.0, 3.0]]))
    expected = np.array([[-0.25, 0.25], [0.125, -0.125]])
    why = "p is 1/2, 1/2 and 1/4, 3/4; there are two rows."
    attempt.expect((logits, np.array([0, 1])), expected, why)


def _check_gradient_differences(attempt):
    rng = np.random.default_rng(9)
    for _ in range(3):
        logits, labels = _ce_case(rng, N=3, K=4)
        expected = np.zeros_like(logits)
        for place in np.ndindex(logits.shape):
            step = np.zeros_like(logits)
            step[place] = 1e-5
            rise = _ce_oracle(logits + step, labels) - _ce_oracle(logits - step, labels)
            expected[place] = rise / 2e-5
        got = attempt(logits, labels)
        if np.shape(got) != logits.shape or not np.allclose(got, expected, atol=1e-7):
            attempt.expect((logits, labels), expected, "These are finite differences of the loss.")


def _check_gradient_random(attempt):
    rng = np.random.default_rng(10)
    for _ in range(10):
        case = _ce_case(rng)
        attempt.expect(case, _gradient_oracle(*case))


def _check_gradient_rows(attempt):
    rng = np.random.default_rng(11)
    logits, labels = _ce_case(rng, N=6, K=4, scale=3.0)
    sums = np.abs(np.sum(attempt(logits, labels), axis=1))
    if sums.shape != (6,) or not (sums < 1e-9).all():
        raise Failed("A row of your gradient does not sum to 0: what the right class gains, the others lose.", (logits, labels))


def _check_gradient_edges(attempt):
    rng = np.random.default_rng(12)
    for sizes in ({"N": 1}, {"K": 1}, {"N": 5, "K": 5}, {"N": 9, "K": 2}):
        case = _ce_case(rng, **sizes)
        attempt.expect(case, _gradient_oracle(*case))
    case = _ce_case(rng, scale=900.0)
    attempt.expect(case, _gradient_oracle(*case), "Logits in the hundreds must not overflow.")


def _gradient_probes():
    rng = np.random.default_rng(13)
    return [
        (rng.normal(size=(4, 3)), np.array([0, 2, 2, 1])),
        (rng.normal(size=(3, 5)), np.array([4, 0, 4])),
        (np.array([[900.0, 0.0, 903.0], [0.5, 0.2, 1.0]]), np.array([1, 2])),
    ]


def _grad(make):
    """Forms of a wrong gradient with a stable and with an overflowing softmax."""
    return tuple(_quiet(lambda z, y, soft=soft: make(soft, z, y)) for soft in _SOFTS)


def _columns_subtracted(soft, z, y):
    p = soft(z)
    p[:, y] -= 1
    return p / len(y)


def _every_entry_subtracted(soft, z, y):
    return (soft(z) - 1) / len(y)


def _right_class_only(soft, z, y):
    return _one_hot(z, y) * (soft(z) - 1) / len(y)


def _through_softmax_twice(soft, z, y):
    p = soft(z)
    inner = (_stable(p) - _one_hot(z, y)) / len(y)
    return p * (inner - (p * inner).sum(axis=1, keepdims=True))


_GRADIENT_WRONG = {
    "not_divided_by_rows": _grad(lambda s, z, y: s(z) - _one_hot(z, y)),
    "sign_turned": _grad(lambda s, z, y: (_one_hot(z, y) - s(z)) / len(y)),
    "target_missing": _grad(lambda s, z, y: s(z) / len(y)) + _grad(lambda s, z, y: s(z)),
    "whole_columns_changed": _grad(_columns_subtracted),
    "one_subtracted_everywhere": _grad(_every_entry_subtracted),
    "right_class_only": _grad(_right_class_only) + _grad(lambda s, z, y: _one_hot(z, y) * (s(z) - 1)),
    "derivative_for_the_probabilities": _grad(lambda s, z, y: -_one_hot(z, y) / s(z) / len(y))
    + _grad(lambda s, z, y: -_one_hot(z, y) / s(z)),
    "divided_by_classes": _grad(lambda s, z, y: (s(z) - _one_hot(z, y)) / z.shape[1])
    + _grad(lambda s, z, y: (s(z) - _one_hot(z, y)) / z.size),
    "no_softmax": (_quiet(lambda z, y: (z - _one_hot(z, y)) / len(y)),),
    "softmax_over_rows": _grad(lambda s, z, y: (s(z, 0) - _one_hot(z, y)) / len(y)),
    "softmax_twice": _grad(_through_softmax_twice)
    + _grad(lambda s, z, y: (_stable(s(z)) - _one_hot(z, y)) / len(y)),
    "overflow": (_quiet(lambda z, y: (_unstable(z) - _one_hot(z, y)) / len(y)),),
}
_GRADIENT_HINTS = {
    "not_divided_by_rows": "Right for one row, N times too large for N rows. The loss is a mean: "
    "where does its 1/N go?",
    "sign_turned": "Your gradient points down the hill. Raising the right logit lowers the loss: "
    "which sign has its derivative?",
    "target_missing": "Every entry of your gradient is positive. The logit of the right class also "
    "stands by itself in the loss: what is the derivative of -z[y]?",
    "whole_columns_changed": "p[:, labels] takes whole columns, so one row's label changes the "
    "others. How do you pick one entry from each row?",
    "one_subtracted_everywhere": "You subtract 1 from every entry. Which entry of a row has "
    "target 1?",
    "right_class_only": "Only the right class has a gradient in your result. The others are in the "
    "denominator of the softmax: does raising them change the loss?",
    "derivative_for_the_probabilities": "This is the derivative for the probabilities, -1/p. The "
    "chain rule goes on to the logits: what remains after the softmax's own derivative?",
    "divided_by_classes": "You divide by the number of classes or entries. Over what is the loss "
    "a mean?",
    "no_softmax": "You subtract the target from the logits. From which quantity should it be "
    "subtracted?",
    "softmax_over_rows": "Your probabilities sum to 1 down the columns. Over which axis do the "
    "classes lie?",
    "softmax_twice": "A softmax is applied to probabilities somewhere. The loss takes one softmax, "
    "of the logits.",
    "overflow": "Right for small logits, nan for large ones. Which softmax did you write before?",
}
_GRADIENT_MISCONCEPTIONS = tuple(
    Misconception(name, forms[0], _GRADIENT_HINTS[name], also=forms[1:])
    for name, forms in _GRADIENT_WRONG.items()
)


# kl_divergence


def _kl_case(rng, K=None, zeros_p=0, zeros_q=0):
    K = K or int(rng.integers(3, 8))
    p, q = rng.dirichlet(np.ones(K)) + 0.02, rng.dirichlet(np.ones(K)) + 0.02
    p[:zeros_p], q[:zeros_q] = 0.0, 0.0
    order = rng.permutation(K)
    return (p / p.sum())[order], (q / q.sum())[order]


def _kl_sample(rng):
    return _kl_case(rng, zeros_p=int(rng.integers(0, 3)), zeros_q=int(rng.integers(0, 2)))


def _kl_oracle(p, q):
    terms = []
    for a, b in zip(p.tolist(), q.tolist()):
        if a > 0 and b == 0:
            return math.inf
        if a > 0:
            terms.append(a * (math.log(a) - math.log(b)))
    return math.fsum(terms)


def _check_kl_by_hand(attempt):
    case = (np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    attempt.expect(case, expected, "This is 1/2 log(2) + 1/2 log(2/3).")


def _check_kl_random(attempt):
    rng = np.random.default_rng(14)
    for _ in range(12):
        case = _kl_case(rng)
        attempt.expect(case, _kl_oracle(*case))


def _check_kl_itself(attempt):
    for p in (np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0]), np.array([1.0])):
        attempt.expect((p, p.copy()), 0.0, "A distribution has divergence 0 from itself.")


def _check_kl_zeros(attempt):
    p, q = np.array([0.0, 0.4, 0.6]), np.array([0.5, 0.3, 0.2])
    attempt.expect((p, q), _kl_oracle(p, q), "Where p is 0 nothing is paid: 0 log 0 counts as 0.")
    p, q = np.array([0.0, 0.4, 0.6]), np.array([0.0, 0.5, 0.5])
    attempt.expect((p, q), _kl_oracle(p, q), "Both are 0 in one place.")


def _check_kl_infinite(attempt):
    p, q = np.array([0.1, 0.9, 0.0]), np.array([0.0, 0.5, 0.5])
    attempt.expect((p, q), math.inf, "q rules out what happens in one case of ten.")


def _check_kl_small(attempt):
    p, q = np.array([0.5, 0.5]), np.array([1e-40, 1 - 1e-40])
    attempt.expect((p, q), _kl_oracle(p, q), "A very small q is not 0.")


def _kl_probes():
    rng = np.random.default_rng(15)
    return [
        _kl_case(rng, K=4),
        _kl_case(rng, K=3),
        (np.array([0.0, 0.3, 0.7]), np.array([0.2, 0.5, 0.3])),
        (np.array([0.25, 0.35, 0.4]), np.array([0.0, 0.3, 0.7])),
        (np.array([0.3, 0.0, 0.7]), np.array([0.6, 0.0, 0.4])),
    ]


def _kl_plain(p, q):
    return float(np.sum(p * np.log(p / q)))


def _masked(make):
    def run(p, q):
        keep = p > 0
        return make(p[keep], q[keep])

    return run


def _kl_forms(make):
    """A wrong formula with the zeros of p left out and left in."""
    return _quiet(_masked(make)), _quiet(make)


_KL_REVERSED = (
    _quiet(lambda p, q: kl_divergence(q, p)),
    _quiet(lambda p, q: _kl_plain(q, p)),
    _quiet(_masked(lambda p, q: _kl_plain(q, p))),
)
_KL_CROSS = _kl_forms(lambda p, q: float(-np.sum(p * np.log(q))))
_KL_SIGN = _kl_forms(lambda p, q: float(np.sum(p * np.log(q / p))))
_KL_BITS = _kl_forms(lambda p, q: float(np.sum(p * np.log2(p / q))))
_KL_MEAN = (
    _quiet(lambda p, q: kl_divergence(p, q) / len(p)),
    _quiet(lambda p, q: float(np.mean(p * np.log(p / q)))),
    _quiet(_masked(lambda p, q: float(np.mean(p * np.log(p / q))))),
)
_KL_EPSILON = tuple(
    _quiet(lambda p, q, e=e: float(np.sum(p * np.log((p + e) / (q + e))))) for e in _EPSILONS
)
_KL_UNWEIGHTED = _kl_forms(lambda p, q: float(np.sum(np.log(p / q))))
_KL_ABSOLUTE = _kl_forms(lambda p, q: float(np.sum(p * np.abs(np.log(p / q)))))
_KL_SYMMETRIC = tuple(
    _quiet(lambda p, q, f=f, w=w: w * (f(p, q) + f(q, p)))
    for f in (_kl_oracle, _kl_plain)
    for w in (1.0, 0.5)
)


def _both_possible(p, q):
    keep = (p > 0) & (q > 0)
    return float(np.sum(p[keep] * np.log(p[keep] / q[keep])))


_KL_MISCONCEPTIONS = (
    Misconception(
        "arguments_exchanged",
        _KL_REVERSED[0],
        "This is KL(q || p). The true distribution weighs the terms: which one is it?",
        also=_KL_REVERSED[1:],
    ),
    Misconception(
        "zeros_give_nan",
        _quiet(_kl_plain),
        "Right without zeros, nan where p is 0. What is the limit of x log x at 0, and how can "
        "those places be left out?",
    ),
    Misconception(
        "epsilon_hides_infinity",
        _KL_EPSILON[0],
        "A small constant turns an infinite divergence into a number that depends on the constant. "
        "What should come out where q says *impossible* and it happens?",
        also=_KL_EPSILON[1:],
    ),
    Misconception(
        "impossible_places_left_out",
        _quiet(_both_possible),
        "You leave out the places where q is 0. If p is not 0 there, that is where the model fails "
        "completely. Which zeros may be left out?",
    ),
    Misconception(
        "cross_entropy_instead",
        _KL_CROSS[0],
        "This is the cross-entropy. What has to be subtracted so that KL(p || p) is 0?",
        also=_KL_CROSS[1:],
    ),
    Misconception(
        "sign_turned",
        _KL_SIGN[0],
        "Your divergence is never positive. Which of p and q stands above in the fraction?",
        also=_KL_SIGN[1:],
    ),
    Misconception(
        "bits_instead_of_nats",
        _KL_BITS[0],
        "Your result is in bits. Which logarithm gives nats?",
        also=_KL_BITS[1:],
    ),
    Misconception(
        "mean_instead_of_sum",
        _KL_MEAN[0],
        "You divide by the number of outcomes. The weights p already make the sum an average: "
        "over what?",
        also=_KL_MEAN[1:],
    ),
    Misconception(
        "weights_missing",
        _KL_UNWEIGHTED[0],
        "Every outcome counts the same in your sum. How often does each one happen?",
        also=_KL_UNWEIGHTED[1:],
    ),
    Misconception(
        "absolute_values",
        _KL_ABSOLUTE[0],
        "You make every term positive. Single terms may be negative; why is the sum never?",
        also=_KL_ABSOLUTE[1:],
    ),
    Misconception(
        "made_symmetric",
        _KL_SYMMETRIC[0],
        "You add both directions. Is KL(p || q) the same as KL(q || p)? Which one is asked for?",
        also=_KL_SYMMETRIC[1:],
    ),
)


# perplexity


def _perplexity_sample(rng):
    return (rng.uniform(0.01, 1.0, size=int(rng.choice([1, 3, 20, 3000]))),)


def _perplexity_oracle(probs):
    nats = math.fsum(-math.log(p) if p > 0 else math.inf for p in probs.tolist()) / len(probs)
    return math.exp(nats) if nats < math.inf else math.inf


def _check_perplexity_by_hand(attempt):
    attempt.expect((np.array([0.5, 0.125]),), 4.0, "1 bit and 3 bits are 2 bits on average.")


def _check_perplexity_uniform(attempt):
    for k in (1, 2, 10, 50257):
        why = f"A model that chooses evenly among {k:,} tokens has that perplexity."
        attempt.expect((np.full(7, 1 / k),), float(k), why)


def _check_perplexity_random(attempt):
    rng = np.random.default_rng(16)
    for size in (1, 2, 5, 40):
        probs = rng.uniform(0.001, 1.0, size=size)
        attempt.expect((probs,), _perplexity_oracle(probs))


def _check_perplexity_long(attempt):
    probs = np.random.default_rng(17).uniform(0.001, 0.5, size=5000)
    why = "The product of 5,000 probabilities is smaller than any float: don't form it."
    attempt.expect((probs,), _perplexity_oracle(probs), why)


def _check_perplexity_order(attempt):
    probs = np.array([0.9, 0.2, 0.05, 0.6])
    attempt.expect((np.tile(probs, 3),), _perplexity_oracle(probs), "A text said three times.")


def _check_perplexity_impossible(attempt):
    attempt.expect((np.array([0.5, 0.0, 0.5]),), math.inf, "One token had probability 0.")


def _perplexity_probes():
    rng = np.random.default_rng(18)
    return [
        (np.array([0.5, 0.125, 0.9]),),
        (rng.uniform(0.05, 0.9, size=6),),
        (rng.uniform(0.001, 0.4, size=2000),),
    ]


_PERPLEXITY_MISCONCEPTIONS = (
    Misconception(
        "mean_of_inverses",
        _quiet(lambda p: float((1 / p).mean())),
        "You average 1/p, so one very surprising token outweighs all others. The average is taken "
        "of the surprises: what is done after it?",
    ),
    Misconception(
        "inverse_of_the_mean",
        _quiet(lambda p: float(1 / p.mean())),
        "You average the probabilities, and one sure token hides many bad ones. Which quantity "
        "adds up over the tokens of a text?",
    ),
    Misconception(
        "product_underflows",
        _quiet(lambda p: float(np.prod(p) ** (-1 / len(p)))),
        "Right for a short text; for a long one the product of the probabilities is rounded to 0. "
        "What does the logarithm make of a product?",
    ),
    Misconception(
        "exponential_missing",
        _quiet(lambda p: float(-np.log(p).mean())),
        "This is the mean surprise in nats. Perplexity counts equally probable choices: how do "
        "you get from the one to the other?",
        also=(_quiet(lambda p: float(-np.log2(p).mean())),),
    ),
    Misconception(
        "bases_mixed",
        _quiet(lambda p: float(2 ** (-np.log(p).mean()))),
        "Logarithm and exponential have different bases. Which pairs undo each other?",
        also=(_quiet(lambda p: float(np.exp(-np.log2(p).mean()))),),
    ),
    Misconception(
        "sum_instead_of_mean",
        _quiet(lambda p: float(np.exp(-np.log(p).sum()))),
        "Your perplexity grows with every token. Nats of the whole text, or nats per token?",
        also=(_quiet(lambda p: float(2 ** (-np.log(p).sum()))),),
    ),
    Misconception(
        "sign_missing",
        _quiet(lambda p: float(np.exp(np.log(p).mean()))),
        "Your result is at most 1: it is the typical probability. How many equal choices is that?",
    ),
    Misconception(
        "median_surprise",
        _quiet(lambda p: float(np.exp(-np.median(np.log(p))))),
        "You take the median token. Which average do rare, expensive tokens enter?",
    ),
)

EXERCISES = (
    Exercise(
        id="cross_entropy.softmax",
        reference=softmax,
        difficulty=2,
        minutes=8,
        section="Softmax",
        hints=(
            "np.exp makes every logit positive; dividing by the row's sum makes it a distribution.",
            "sum and max need axis=-1 and keepdims=True, so that the result still fits the rows.",
            "Subtract each row's maximum first: the largest exponent is then 0, and the factor "
            "exp(-max) cancels in the fraction.",
        ),
        checks=(
            Check("three logits by hand", _check_softmax_by_hand),
            Check("random logits of any shape", _check_softmax_random),
            Check("large logits", _check_softmax_large),
            Check("a constant added", _check_softmax_invariance),
            Check("masked logits", _check_softmax_masked),
        ),
        misconceptions=_SOFTMAX_MISCONCEPTIONS,
        probes=_softmax_probes,
        sample=_softmax_sample,
    ),
    Exercise(
        id="cross_entropy.cross_entropy",
        reference=cross_entropy,
        difficulty=3,
        minutes=12,
        section="Cross-entropy from logits",
        hints=(
            "log p of a class is its logit minus the log-sum-exp of its row.",
            "Subtract each row's maximum before exp; it cancels in logit minus log-sum-exp.",
            "log_probs[np.arange(N), labels] picks one entry from each row. Return minus its mean, "
            "as a float.",
        ),
        checks=(
            Check("two rows by hand", _check_ce_by_hand),
            Check("random logits", _check_ce_random),
            Check("large logits", _check_ce_large),
            Check("edge cases", _check_ce_edges),
            Check("a constant added", _check_ce_shift),
        ),
        misconceptions=_CE_MISCONCEPTIONS,
        probes=_ce_probes,
        sample=_ce_sample,
    ),
    Exercise(
        id="cross_entropy.cross_entropy_gradient",
        reference=cross_entropy_gradient,
        difficulty=3,
        minutes=10,
        section="The gradient",
        hints=(
            "The loss of a row is log-sum-exp(z) - z[y]. Differentiate both terms for one logit.",
            "The first gives the softmax, the second -1 at the right class and 0 elsewhere.",
            "p = softmax(logits); p[np.arange(N), labels] -= 1; divide by N, since the loss is a mean.",
        ),
        checks=(
            Check("two rows by hand", _check_gradient_by_hand),
            Check("finite differences", _check_gradient_differences),
            Check("random logits", _check_gradient_random),
            Check("rows sum to 0", _check_gradient_rows),
            Check("edge cases", _check_gradient_edges),
        ),
        misconceptions=_GRADIENT_MISCONCEPTIONS,
        probes=_gradient_probes,
        sample=_ce_sample,
    ),
    Exercise(
        id="cross_entropy.kl_divergence",
        reference=kl_divergence,
        difficulty=2,
        minutes=8,
        section="Entropy, cross-entropy, divergence",
        hints=(
            "It is the mean, under p, of log(p/q).",
            "Where p is 0 the term counts as 0: select the entries with p > 0 before you divide.",
            "Leave the zeros of q alone: p/0 is inf, and so is its logarithm. "
            "np.errstate(divide='ignore') silences NumPy's warning.",
        ),
        checks=(
            Check("two outcomes by hand", _check_kl_by_hand),
            Check("random distributions", _check_kl_random),
            Check("from itself", _check_kl_itself),
            Check("zeros of p", _check_kl_zeros),
            Check("zeros of q", _check_kl_infinite),
            Check("small q", _check_kl_small),
        ),
        misconceptions=_KL_MISCONCEPTIONS,
        probes=_kl_probes,
        sample=_kl_sample,
    ),
    Exercise(
        id="cross_entropy.perplexity",
        reference=perplexity,
        difficulty=1,
        minutes=5,
        section="Perplexity",
        hints=(
            "Perplexity is the exponential of the mean surprise per token.",
            "The surprise of a token is minus the logarithm of its probability.",
            "np.exp(-np.log(probs).mean()), as a float.",
        ),
        checks=(
            Check("two tokens by hand", _check_perplexity_by_hand),
            Check("even choices", _check_perplexity_uniform),
            Check("random texts", _check_perplexity_random),
            Check("a long text", _check_perplexity_long),
            Check("a text repeated", _check_perplexity_order),
            Check("an impossible token", _check_perplexity_impossible),
        ),
        misconceptions=_PERPLEXITY_MISCONCEPTIONS,
        probes=_perplexity_probes,
        sample=_perplexity_sample,
    ),
)
