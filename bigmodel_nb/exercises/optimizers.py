"""Exercises of lesson 04."""

from __future__ import annotations

import math

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def sgd_momentum(theta, grad, velocity, lr, beta=0.9):
    """One step of gradient descent with momentum, in torch's form.

    theta, grad, velocity: float arrays of one shape -> new theta, new velocity
    """
    velocity = beta * velocity + grad
    return theta - lr * velocity, velocity


def adam_step(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """One step of Adam (Kingma and Ba 2015, algorithm 1).

    theta, grad, m, v: float arrays of one shape; t: number of this step, 1 for the first
    -> new theta, new m, new v (m and v as they are before the correction)
    """
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return theta - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adamw_step(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """One step of AdamW (Loshchilov and Hutter 2019): decay of the old theta, apart from the gradient.

    theta, grad, m, v: float arrays of one shape; t: number of this step, 1 for the first
    -> new theta, new m, new v (m and v as they are before the correction)
    """
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    decayed = theta - lr * weight_decay * theta
    return decayed - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def cosine_schedule(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    """Learning rate of a step: a straight warm-up, then half a cosine down to lr_min.

    step: 0 for the first. Warm-up: (step + 1) / (warmup_steps + 1) of lr_max. Step warmup_steps has
    lr_max; from total_steps on it is lr_min -> float
    """
    if step < warmup_steps:
        return lr_max * (step + 1) / (warmup_steps + 1)
    if step >= total_steps:
        return lr_min
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return lr_min + (lr_max - lr_min) * (1 + math.cos(math.pi * progress)) / 2


def clip_by_global_norm(grads, max_norm):
    """Shorten gradients to max_norm where they are longer, all by the same factor.

    grads: list of float arrays, read as one long vector -> list of new arrays, norm before clipping
    """
    norm = math.sqrt(sum(float((grad**2).sum()) for grad in grads))
    factor = 1.0
    if norm > max_norm:
        factor = max_norm / norm
    return [grad * factor for grad in grads], norm


# What all rules share

SHAPES = ((3,), (2, 3), (1,), (4, 1), (2, 2, 2), (5,))


def _arrays(rng, count, shape=None):
    shape = SHAPES[rng.integers(len(SHAPES))] if shape is None else shape
    return [np.asarray(rng.normal(size=shape)) for _ in range(count)]


def _elementwise(scalar_rule, arrays, *numbers):
    """Apply a rule for single floats to every place of some arrays: an oracle with no broadcasting."""
    columns = zip(*(array.ravel().tolist() for array in arrays))
    results = [scalar_rule(*column, *numbers) for column in columns]
    shape = arrays[0].shape
    return tuple(np.array(values, dtype=float).reshape(shape) for values in zip(*results))


SCALES = np.array([1.0, 25.0])  # curvatures of the loss that the runs go down


def _descend(rule, make_state, with_t, start, steps, *numbers):
    """theta after some steps of a rule on the loss 0.5 * sum(SCALES * theta**2)."""
    theta, state = np.array(start, dtype=float), make_state()
    for t in range(1, steps + 1):
        place = (t,) if with_t else ()
        theta, *state = rule(theta, SCALES * theta, *state, *place, *numbers)
    return theta


# sgd_momentum


def _momentum_scalar(theta, grad, velocity, lr, beta):
    velocity = velocity * beta
    velocity = velocity + grad
    return theta - velocity * lr, velocity


def _momentum_sample(rng):
    arrays = _arrays(rng, 3)
    return (*arrays, float(rng.uniform(0.01, 1.5)), float(rng.uniform(0.3, 0.95)))


def _momentum_run(rule, start, steps, lr, beta):
    return _descend(rule, lambda: [np.zeros(2)], False, start, steps, lr, beta)


def _momentum_run_oracle(start, steps, lr, beta):
    """From the difference equation of the path, which has no velocity in it."""
    path = [np.array(start, dtype=float)] * 2
    for _ in range(steps):
        path.append(path[-1] + beta * (path[-1] - path[-2]) - lr * SCALES * path[-1])
    return path[-1]


def _check_momentum_by_hand(attempt):
    case = (np.array([1.0]), np.array([2.0]), np.array([10.0]), 0.1, 0.9)
    why = "The velocity is 0.9 * 10 + 2 = 11, and theta moves by 0.1 * 11."
    attempt.expect(case, (np.array([-0.1]), np.array([11.0])), why)


def _check_momentum_first(attempt):
    theta, grad = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    expected = (theta - 0.1 * grad, grad)
    attempt.expect((theta, grad, np.zeros(2), 0.1), expected, "At rest the first step is plain descent.")
    case = (theta, np.zeros(2), grad, 0.1, 0.5)
    why = "Without a gradient it rolls on, at beta times its velocity."
    attempt.expect(case, (theta - 0.05 * grad, 0.5 * grad), why)
    attempt.expect((theta, grad, theta, 0.1), (theta - 0.1 * (0.9 * theta + grad), 0.9 * theta + grad))
    attempt.expect((theta, grad, theta, 0.1, 0.0), expected, "With beta = 0 nothing is remembered.")


def _check_momentum_random(attempt):
    rng = np.random.default_rng(1)
    for shape in SHAPES * 2:
        arrays = _arrays(rng, 3, shape)
        numbers = _momentum_sample(rng)[3:]
        attempt.expect((*arrays, *numbers), _elementwise(_momentum_scalar, arrays, *numbers))


def _check_momentum_run(attempt):
    why = "This is theta after many of your steps down a ravine."
    for case in (([3.0, 1.0], 60, 0.02, 0.9), ([-1.0, 2.0], 40, 0.05, 0.5)):
        attempt.expect(case, _momentum_run_oracle(*case), why, drive=_momentum_run)


def _momentum_probes():
    rng = np.random.default_rng(7)
    return [(*_arrays(rng, 3, (3,)), 0.4, 0.7), (*_arrays(rng, 3, (2, 2)), 1.7, 0.85)]


def _momentum_with(new_velocity, move=lambda theta, grad, old, new, lr, beta: theta - lr * new, kept=None):
    """A rule from its three parts: the velocity, the move, and what is handed on."""

    def rule(theta, grad, velocity, lr, beta=0.9):
        new = new_velocity(velocity, grad, lr, beta)
        moved = move(theta, grad, velocity, new, lr, beta)
        return moved, new if kept is None else kept(velocity, grad, new)

    return rule


def _right_velocity(velocity, grad, lr, beta):
    return beta * velocity + grad


_MOMENTUM_MISCONCEPTIONS = (
    Misconception(
        "mean_instead_of_sum",
        _momentum_with(lambda v, g, lr, b: b * v + (1 - b) * g),
        "Your velocity is a running mean: the gradient enters with weight (1 - beta). In torch's form "
        "it enters whole. What does a constant gradient of 1 lead to in each?",
    ),
    Misconception(
        "learning_rate_in_velocity",
        _momentum_with(
            lambda v, g, lr, b: b * v + lr * g, lambda theta, g, old, new, lr, b: theta - new
        ),
        "Your velocity already holds the learning rate. Then it must be rescaled whenever a schedule "
        "changes lr: where does lr belong in torch's form?",
        also=(_momentum_with(lambda v, g, lr, b: b * v + lr * g),),
    ),
    Misconception(
        "velocity_points_downhill",
        _momentum_with(lambda v, g, lr, b: b * v - g, lambda theta, g, old, new, lr, b: theta + lr * new),
        "Your velocity points downhill and is added to theta. Here it collects gradients as they are, "
        "and the minus stands in the step.",
        also=(
            _momentum_with(
                lambda v, g, lr, b: b * v - lr * g, lambda theta, g, old, new, lr, b: theta + new
            ),
        ),
    ),
    Misconception(
        "old_velocity_used",
        _momentum_with(_right_velocity, lambda theta, g, old, new, lr, b: theta - lr * old),
        "theta moves by the velocity of the step before. Which of the two lines comes first?",
    ),
    Misconception(
        "uphill",
        _momentum_with(_right_velocity, lambda theta, g, old, new, lr, b: theta + lr * new),
        "Your velocity is right and theta climbs. In which direction does the loss fall?",
    ),
    Misconception(
        "velocity_not_handed_on",
        _momentum_with(_right_velocity, kept=lambda old, grad, new: old),
        "theta is right, but you hand on a velocity that isn't the one you have just computed. What "
        "will the next step remember?",
        also=(_momentum_with(_right_velocity, kept=lambda old, grad, new: grad),),
    ),
    Misconception(
        "velocity_in_the_wrong_order",
        lambda theta, grad, velocity, lr, beta=0.9: sgd_momentum(theta, grad, velocity, lr, beta)[::-1],
        "Both numbers are right and stand in the wrong order: theta first, then the velocity.",
    ),
    Misconception(
        "beta_on_the_gradient",
        _momentum_with(lambda v, g, lr, b: v + b * g),
        "beta multiplies the gradient in your velocity. Which of the two should fade with time?",
        also=(_momentum_with(lambda v, g, lr, b: (1 - b) * v + b * g),),
    ),
    Misconception(
        "nothing_fades",
        _momentum_with(lambda v, g, lr, b: v + g),
        "Your velocity adds up all gradients and forgets none. What is beta for?",
    ),
    Misconception(
        "momentum_forgotten",
        _momentum_with(lambda v, g, lr, b: g),
        "This is plain gradient descent: the old velocity has no effect.",
        also=(_momentum_with(_right_velocity, lambda theta, g, old, new, lr, b: theta - lr * g),),
    ),
    Misconception(
        "nesterov",
        _momentum_with(_right_velocity, lambda theta, g, old, new, lr, b: theta - lr * (g + b * new)),
        "That is Nesterov's form, which looks one step ahead. Plain momentum moves by the velocity "
        "itself.",
    ),
    Misconception(
        "gradient_counted_twice",
        _momentum_with(_right_velocity, lambda theta, g, old, new, lr, b: theta - lr * (new + g)),
        "Your step subtracts the velocity and the gradient. The velocity contains the gradient "
        "already.",
    ),
)


# adam_step and adamw_step


def _adam_scalar(theta, grad, m, v, t, lr, beta1, beta2, eps, weight_decay=0.0):
    m = m + (1 - beta1) * (grad - m)
    v = v + (1 - beta2) * (grad * grad - v)
    share1, share2 = 1 - math.exp(t * math.log(beta1)), 1 - math.exp(t * math.log(beta2))
    root = math.sqrt(v / share2) + eps
    return theta * (1 - lr * weight_decay) - lr * (m / share1) / root, m, v


def _adam_sample(rng):
    theta, grad, m, v = _arrays(rng, 4)
    numbers = (rng.uniform(0.01, 1), rng.uniform(0.5, 0.95), rng.uniform(0.7, 0.99), rng.uniform(0.01, 0.5))
    return (theta, grad, m, v**2, int(rng.integers(1, 12)), *map(float, numbers))


def _adamw_sample(rng):
    return (*_adam_sample(rng), float(rng.uniform(0.05, 0.9)))


def _adam_run(rule, start, steps, *numbers):
    return _descend(rule, lambda: [np.zeros(2), np.zeros(2)], True, start, steps, *numbers)


def _adam_run_oracle(start, steps, lr, beta1, beta2, eps, weight_decay=0.0):
    """From weighted means over all gradients so far, with no running state."""
    theta, grads = np.array(start, dtype=float), []
    for t in range(1, steps + 1):
        grads.append(SCALES * theta)
        means = []
        for beta, power in ((beta1, 1), (beta2, 2)):
            weights = [beta ** (t - 1 - i) for i in range(t)]
            means.append(sum(w * g**power for w, g in zip(weights, grads)) / sum(weights))
        theta = theta - lr * (means[0] / (means[1] ** 0.5 + eps) + weight_decay * theta)
    return theta


def _check_adam_by_hand(attempt):
    case = (np.array([1.0]), np.array([2.0]), np.array([0.0]), np.array([0.0]), 1, 0.1, 0.9, 0.75, 0.0)
    expected = (np.array([0.9]), np.array([0.2]), np.array([1.0]))
    why = "m = 0.2 and v = 1; corrected they are 2 and 4, so the step is lr * 2 / 2."
    attempt.expect(case, expected, why)


def _check_adam_first_step(attempt):
    """The first step has length lr, whatever the size of the gradient."""
    rng = np.random.default_rng(3)
    for size in (1e-3, 1.0, 1e4):
        theta = rng.normal(size=4)
        grad = size * rng.choice([-1.0, 1.0], size=4) * rng.uniform(0.5, 2, size=4)
        new, _, _ = attempt(theta, grad, np.zeros(4), np.zeros(4), 1, 0.01)
        if not np.allclose(theta - new, 0.01 * np.sign(grad), rtol=1e-4):
            text = (
                f"At t = 1, with gradients of about {size:g}, theta moves by {np.abs(theta - new)[0]:.4g}; "
                "expected lr = 0.01 against the sign of each gradient, whatever its size."
            )
            raise Failed(text, (theta, grad, np.zeros(4), np.zeros(4), 1, 0.01))


def _check_random(sample):
    """A check of Adam's or AdamW's step on random arrays; the numbers after them come from `sample`."""

    def check(attempt):
        rng = np.random.default_rng(4)
        for shape in SHAPES * 2:
            theta, grad, m, v = _arrays(rng, 4, shape)
            t, *numbers = sample(rng)[4:]
            arrays = [theta, grad, m, v**2]
            attempt.expect((*arrays, t, *numbers), _elementwise(_adam_scalar, arrays, t, *numbers))

    return check


def _expect_defaults(attempt, *numbers):
    """Three steps with the default numbers, on weights that a decay would change; the arrays used."""
    theta, grad, m, v = _arrays(np.random.default_rng(5), 4, (3,))
    arrays = [100 * theta, grad, m, v**2]
    for t in (1, 2, 1000):
        expected = _elementwise(_adam_scalar, arrays, t, *numbers)
        attempt.expect((*arrays, t), expected, "Called with the defaults.")
    return arrays


def _check_adam_edges(attempt):
    theta, grad, _, _ = _expect_defaults(attempt, 1e-3, 0.9, 0.999, 1e-8)
    zero = np.zeros(3)
    why = "A gradient that has always been 0 moves nothing (and 0 / (0 + eps) is 0, not NaN)."
    attempt.expect((theta, zero, zero, zero, 1), (theta, zero, zero), why)
    arrays = [theta, 1e-3 * grad, zero, zero]
    expected = _elementwise(_adam_scalar, arrays, 1, 0.1, 0.9, 0.999, 0.01)
    attempt.expect((*arrays, 1, 0.1, 0.9, 0.999, 0.01), expected, "Here eps is larger than the gradient.")


def _check_adam_run(attempt):
    why = "This is theta after many of your steps down a ravine."
    for case in (([3.0, 1.0], 40, 0.1, 0.9, 0.999, 1e-8), ([-1.0, 2.0], 25, 0.3, 0.5, 0.9, 0.1)):
        attempt.expect(case, _adam_run_oracle(*case), why, drive=_adam_run)


def _adam_probes():
    rng = np.random.default_rng(8)
    probes = []
    for shape, numbers in (((3,), (1, 0.7, 0.8, 0.95, 0.05)), ((2, 2), (4, 1.3, 0.6, 0.9, 0.2))):
        theta, grad, m, v = _arrays(rng, 4, shape)
        probes.append((theta, grad, m, v**2 + 0.5, *numbers))
    return probes


def _adamw_probes():
    return [(*probe, decay) for probe, decay in zip(_adam_probes(), (0.6, 0.35))]


def _adam_with(
    mean=lambda m, g, b1, b2: b1 * m + (1 - b1) * g,
    square=lambda v, g, b1, b2: b2 * v + (1 - b2) * g**2,
    correct_m=lambda m, t, b1, b2: m / (1 - b1**t),
    correct_v=lambda v, t, b1, b2: v / (1 - b2**t),
    ratio=lambda m, v, g, eps: m / (np.sqrt(v) + eps),
    kept=lambda old, new, corrected: new,
    move=lambda theta, step, lr: theta - lr * step,
):
    """Adam from its parts, so that one of them can be wrong."""

    def rule(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        new = (mean(m, grad, beta1, beta2), square(v, grad, beta1, beta2))
        corrected = (correct_m(new[0], t, beta1, beta2), correct_v(new[1], t, beta1, beta2))
        with np.errstate(invalid="ignore", divide="ignore"):
            theta = move(theta, ratio(*corrected, grad, eps), lr)
        return (theta, *kept((m, v), new, corrected))

    return rule


def _plain(x, t, b1, b2):
    return x


def _adam_old_moments(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    _, new_m, new_v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return theta - lr * m_hat / (np.sqrt(v_hat) + eps), new_m, new_v


_NO_CORRECTION = {"correct_m": _plain, "correct_v": _plain}
_EPS_INSIDE = {"ratio": lambda m, v, g, eps: m / np.sqrt(v + eps)}
_NO_ROOT = {"ratio": lambda m, v, g, eps: m / (v + eps)}
_CORRECTED_KEPT = {"kept": lambda old, new, corrected: corrected}
_OLD_KEPT = {"kept": lambda old, new, corrected: old}
_FROM_ZERO = {
    "correct_m": lambda m, t, b1, b2: m / (1 - b1 ** (t + 1)),
    "correct_v": lambda v, t, b1, b2: v / (1 - b2 ** (t + 1)),
}

_ADAM_MISCONCEPTIONS = (
    Misconception(
        "no_bias_correction",
        _adam_with(**_NO_CORRECTION),
        "m and v are right, the step is not: both start at 0 and are too small at first, v by far "
        "more. By which factor is a mean of t steps that began at 0 too small?",
    ),
    Misconception(
        "only_m_corrected",
        _adam_with(correct_v=_plain),
        "m is corrected, v is not. v also began at 0, and with beta2 = 0.999 it stays too small for "
        "thousands of steps.",
    ),
    Misconception(
        "only_v_corrected",
        _adam_with(correct_m=_plain),
        "v is corrected, m is not. Did m not begin at 0 as well?",
    ),
    Misconception(
        "correction_without_t",
        _adam_with(
            correct_m=lambda m, t, b1, b2: m / (1 - b1), correct_v=lambda v, t, b1, b2: v / (1 - b2)
        ),
        "Your correction is the same at every step. It must fade: how much of the weight of a running "
        "mean is still missing after t steps?",
        also=(
            _adam_with(
                correct_m=lambda m, t, b1, b2: m / (1 - b1 * t),
                correct_v=lambda v, t, b1, b2: v / (1 - b2 * t),
            ),
        ),
    ),
    Misconception(
        "t_counted_from_zero",
        _adam_with(**_FROM_ZERO),
        "Your correction belongs to the next step. t is 1 at the first step here.",
    ),
    Misconception(
        "corrected_moments_kept",
        _adam_with(**_CORRECTED_KEPT),
        "theta is right, but you hand on the corrected m and v. The next step would correct them "
        "again. Which ones are the running means?",
    ),
    Misconception(
        "old_moments_kept",
        _adam_with(**_OLD_KEPT),
        "theta is right, but you hand on the m and v that you were given. What does the next step "
        "know of this gradient?",
    ),
    Misconception(
        "old_moments_used",
        _adam_old_moments,
        "m and v are updated, and theta moves by the old ones. Which comes first?",
    ),
    Misconception(
        "eps_inside_the_root",
        _adam_with(**_EPS_INSIDE),
        "Your eps stands under the root. Adam adds it to the root: the two differ where the gradient "
        "is small, by up to a factor of thousands.",
    ),
    Misconception(
        "root_forgotten",
        _adam_with(**_NO_ROOT),
        "You divide by v, which is a squared gradient. What has the unit of a gradient?",
    ),
    Misconception(
        "gradient_not_squared",
        _adam_with(square=lambda v, g, b1, b2: b2 * v + (1 - b2) * g),
        "Your v averages gradients, which may be negative; v must be the mean of their squares.",
        also=(_adam_with(square=lambda v, g, b1, b2: b2 * v + (1 - b2) * np.abs(g)),),
    ),
    Misconception(
        "mean_squared_instead_of_squares",
        _adam_with(square=lambda v, g, b1, b2: b2 * v + ((1 - b2) * g) ** 2),
        "You square (1 - beta2) too. Only the gradient is squared.",
    ),
    Misconception(
        "betas_swapped",
        _adam_with(
            mean=lambda m, g, b1, b2: b2 * m + (1 - b2) * g,
            square=lambda v, g, b1, b2: b1 * v + (1 - b1) * g**2,
            correct_m=lambda m, t, b1, b2: m / (1 - b2**t),
            correct_v=lambda v, t, b1, b2: v / (1 - b1**t),
        ),
        "beta1 and beta2 have changed places: beta1 belongs to m.",
        also=(
            _adam_with(
                mean=lambda m, g, b1, b2: b2 * m + (1 - b2) * g,
                square=lambda v, g, b1, b2: b1 * v + (1 - b1) * g**2,
            ),
        ),
    ),
    Misconception(
        "new_gradient_weighs_beta",
        _adam_with(
            mean=lambda m, g, b1, b2: (1 - b1) * m + b1 * g,
            square=lambda v, g, b1, b2: (1 - b2) * v + b2 * g**2,
        ),
        "Your running means give the weight beta to the new gradient and almost none to the past. "
        "Which of the two should weigh 0.9?",
    ),
    Misconception(
        "sums_instead_of_means",
        _adam_with(mean=lambda m, g, b1, b2: b1 * m + g, square=lambda v, g, b1, b2: b2 * v + g**2),
        "Your m and v are sums, as in momentum. Adam's are means: what weight does the new gradient "
        "need so that the weights add up to 1?",
    ),
    Misconception(
        "no_momentum",
        _adam_with(ratio=lambda m, v, g, eps: g / (np.sqrt(v) + eps)),
        "You divide the bare gradient by the root of v. That is RMSProp (with a correction); Adam has "
        "a running mean above the line too.",
    ),
    Misconception(
        "uphill",
        _adam_with(move=lambda theta, step, lr: theta + lr * step),
        "m and v are right and theta climbs. In which direction does the loss fall?",
    ),
)


# adamw_step


def _check_adamw_by_hand(attempt):
    zero = np.array([0.0])
    case = (np.array([1.0]), np.array([2.0]), zero, zero, 1, 0.1, 0.9, 0.75, 0.0, 0.5)
    why = "Adam's step is 0.1; the decay takes lr * weight_decay * theta = 0.05 more."
    attempt.expect(case, (np.array([0.85]), np.array([0.2]), np.array([1.0])), why)


def _check_adamw_decay_alone(attempt):
    theta, zero = np.array([4.0, -2.0, 0.0]), np.zeros(3)
    case = (theta, zero, zero, zero, 1, 0.5, 0.9, 0.999, 1e-8, 0.1)
    why = "With no gradient at all, only the decay is left: every weight loses the same share."
    attempt.expect(case, (theta * 0.95, zero, zero), why)


def _check_adamw_edges(attempt):
    arrays = _expect_defaults(attempt, 1e-3, 0.9, 0.999, 1e-8, 0.01)
    expected = _elementwise(_adam_scalar, arrays, 3, 0.1, 0.9, 0.999, 1e-8, 0.0)
    attempt.expect((*arrays, 3, 0.1, 0.9, 0.999, 1e-8, 0.0), expected, "With no decay it is Adam.")
    theta, grad, _, _ = arrays
    small = [theta / 100, 1e-3 * grad, np.zeros(3), np.zeros(3)]
    expected = _elementwise(_adam_scalar, small, 1, 0.1, 0.9, 0.999, 0.01, 0.2)
    why = "Here eps is larger than the gradient."
    attempt.expect((*small, 1, 0.1, 0.9, 0.999, 0.01, 0.2), expected, why)


def _check_adamw_run(attempt):
    why = "This is theta after many of your steps down a ravine."
    for case in (([3.0, 1.0], 40, 0.1, 0.9, 0.999, 1e-8, 0.1), ([-1.0, 2.0], 25, 0.3, 0.5, 0.9, 0.1, 0.5)):
        attempt.expect(case, _adam_run_oracle(*case), why, drive=_adam_run)


def _decaying(adam, before=lambda theta, lr, wd: theta * (1 - lr * wd), after=lambda theta, old, lr, wd: theta):
    """A decay before and one after a step of an Adam, right or wrong."""

    def rule(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
        start = before(theta, lr, weight_decay)
        new, *state = adam(start, grad, m, v, t, lr, beta1, beta2, eps)
        return (after(new, theta, lr, weight_decay), *state)

    return rule


def _left_alone(theta, lr, wd):
    return theta


def _decay_in_gradient(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    return adam_step(theta, grad + weight_decay * theta, m, v, t, lr, beta1, beta2, eps)


def _decay_divided(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    new, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    return new - lr * weight_decay * theta / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


_ADAMW_MISCONCEPTIONS = (
    Misconception(
        "decay_in_the_gradient",
        _decay_in_gradient,
        "You add the decay to the gradient, so it enters m and v and is divided by the root of v. "
        "That is Adam with an L2 penalty. What does the W in AdamW keep apart?",
    ),
    Misconception(
        "decay_divided",
        _decay_divided,
        "m and v are right, but the decay is divided by the root of v. Every weight should lose the "
        "same share of itself, however large its gradients are.",
    ),
    Misconception(
        "decay_without_lr",
        _decaying(adam_step, lambda theta, lr, wd: theta * (1 - wd)),
        "Your decay does not depend on lr. When a schedule brings lr down to 0, what should the decay "
        "do?",
    ),
    Misconception(
        "decay_forgotten",
        _decaying(adam_step, _left_alone),
        "This is Adam: weight_decay has no effect.",
    ),
    Misconception(
        "weights_grow",
        _decaying(adam_step, lambda theta, lr, wd: theta * (1 + lr * wd)),
        "Your weights grow. The decay pulls towards 0.",
    ),
    Misconception(
        "decay_of_the_new_theta",
        _decaying(adam_step, _left_alone, lambda new, old, lr, wd: new * (1 - lr * wd)),
        "Your decay acts on theta after Adam's step. It takes its share of the theta that came in.",
    ),
    Misconception(
        "decay_by_sign",
        _decaying(adam_step, lambda theta, lr, wd: theta - lr * wd * np.sign(theta)),
        "Your decay takes the same amount from every weight. It should take the same share.",
    ),
    Misconception(
        "decay_twice",
        _decaying(adam_step, lambda theta, lr, wd: theta * (1 - 2 * lr * wd)),
        "Your decay is twice as strong as it should be. The factor 2 is a penalty's derivative; the "
        "decay has none.",
    ),
    Misconception(
        "no_bias_correction",
        _decaying(_adam_with(**_NO_CORRECTION)),
        "The decay is right; m and v are used as they are. Both began at 0: what did adam_step do "
        "about it?",
    ),
    Misconception(
        "corrected_moments_kept",
        _decaying(_adam_with(**_CORRECTED_KEPT)),
        "theta is right, but you hand on the corrected m and v. The next step would correct them again.",
    ),
    Misconception(
        "eps_inside_the_root",
        _decaying(_adam_with(**_EPS_INSIDE)),
        "The decay is right. Your eps stands under the root; it is added to the root.",
    ),
    Misconception(
        "t_counted_from_zero",
        _decaying(_adam_with(**_FROM_ZERO)),
        "The decay is right, but your correction belongs to the next step. t is 1 at the first.",
    ),
    Misconception(
        "uphill",
        _decaying(_adam_with(move=lambda theta, step, lr: theta + lr * step)),
        "The decay is right and the rest of the step climbs. In which direction does the loss fall?",
    ),
)


# cosine_schedule


def _schedule_sample(rng):
    total = int(rng.integers(4, 60))
    warmup = int(rng.integers(0, total))
    step = int(rng.integers(0, total + 5))
    return step, total, float(rng.uniform(0.5, 5)), warmup, float(rng.uniform(0.05, 0.4))


def _schedule_oracle(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    """The real part of a point that walks half a circle; no cosine is called."""
    if step < warmup_steps:
        return lr_max - lr_max * (warmup_steps - step) / (warmup_steps + 1)
    left = max(0, total_steps - step)
    turn = np.exp(1j * np.pi * left / (total_steps - warmup_steps)) if left else 1
    return float(lr_max - (lr_max - lr_min) * (1 + np.real(turn)) / 2)


def _check_schedule_by_hand(attempt):
    for step, expected, why in (
        (0, 1.0, "The first step of a schedule without warm-up has lr_max."),
        (2, 0.5, "Half of the way down is the mean of lr_max and lr_min."),
        (4, 0.0, "From total_steps on it is lr_min."),
        (1, (1 + math.sqrt(0.5)) / 2, "A quarter of the way: cos(45 degrees) = 0.7071."),
    ):
        attempt.expect((step, 4, 1.0), expected, why)


def _check_schedule_warmup(attempt):
    for step, expected in ((0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0)):
        why = "Three warm-up steps rise by quarters, and step 3 has lr_max."
        attempt.expect((step, 20, 1.0, 3), expected, why)
    why = "Step 10 is half-way from the end of a warm-up of 4 to step 16."
    attempt.expect((10, 16, 3.0, 4, 1.0), 2.0, why)


def _check_schedule_edges(attempt):
    for case in ((0, 1, 0.3), (7, 8, 0.3, 7, 0.1), (3, 8, 0.3, 8), (9, 8, 0.3, 8, 0.1), (9, 8, 0.3, 2, 0.1)):
        attempt.expect(case, _schedule_oracle(*case))
    attempt.expect((500, 100, 0.3, 10, 0.02), 0.02, "Long after the end it stays at lr_min.")


def _check_schedule_random(attempt):
    rng = np.random.default_rng(11)
    for _ in range(60):
        case = _schedule_sample(rng)
        attempt.expect(case, _schedule_oracle(*case))


def _check_schedule_whole(attempt):
    total, warmup = 40, 8
    rates = [attempt(step, total, 2.0, warmup, 0.1) for step in range(total + 1)]
    top = rates.index(max(rates))
    rising = all(a < b for a, b in zip(rates[:warmup], rates[1 : warmup + 1]))
    falling = all(a > b for a, b in zip(rates[warmup:], rates[warmup + 1 :]))
    if top != warmup or not rising or not falling:
        text = f"Over {total} steps your largest rate is at step {top}; expected a rise to step {warmup} and a fall from there."
        raise Failed(text, (top, total, 2.0, warmup, 0.1))


def _schedule_probes():
    steps = ((0, 4), (2, 4), (3, 4), (4, 4), (9, 4), (13, 4), (18, 4), (20, 4), (27, 4), (5, 0), (15, 0))
    return [(step, 20, 2.0, warmup, 0.3) for step, warmup in steps]


def _schedule_with(
    rise=lambda s, w, top: top * (s + 1) / (w + 1),
    progress=lambda s, n, w: (s - w) / (n - w),
    fall=lambda p, top, low: low + (top - low) * (1 + math.cos(math.pi * p)) / 2,
    end=lambda low: low,
    stops=True,
):
    """The schedule from its parts, so that one of them can be wrong."""

    def schedule(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
        if step < warmup_steps:
            return rise(step, warmup_steps, lr_max)
        if stops and step >= total_steps:
            return end(lr_min)
        return fall(progress(step, total_steps, warmup_steps), lr_max, lr_min)

    return schedule


_SCHEDULE_MISCONCEPTIONS = (
    Misconception(
        "first_step_is_zero",
        _schedule_with(rise=lambda s, w, top: top * s / w),
        "Your first step has a learning rate of 0, so it learns nothing. Steps count from 0: what must "
        "be added so that the first has something and step warmup_steps has lr_max?",
    ),
    Misconception(
        "warmup_one_step_short",
        _schedule_with(rise=lambda s, w, top: top * (s + 1) / w),
        "Your warm-up reaches lr_max one step too early, and step warmup_steps has it again. Into how "
        "many equal parts is the rise cut?",
    ),
    Misconception(
        "no_warmup",
        _schedule_with(rise=lambda s, w, top: top),
        "Your rate begins at lr_max although there is a warm-up.",
        also=(
            lambda step, total_steps, lr_max, warmup_steps=0, lr_min=0.0: cosine_schedule(
                step, total_steps, lr_max, 0, lr_min
            ),
        ),
    ),
    Misconception(
        "warmup_from_lr_min",
        lambda step, total_steps, lr_max, warmup_steps=0, lr_min=0.0: (
            lr_min + (lr_max - lr_min) * (step + 1) / (warmup_steps + 1)
            if step < warmup_steps
            else cosine_schedule(step, total_steps, lr_max, warmup_steps, lr_min)
        ),
        "Your warm-up starts above lr_min. Here it rises from 0: lr_min is only where the schedule ends.",
    ),
    Misconception(
        "progress_counts_the_warmup",
        _schedule_with(progress=lambda s, n, w: s / n),
        "There is a jump where the warm-up ends: your cosine is on its way already. From which step to "
        "which does it run?",
    ),
    Misconception(
        "progress_over_all_steps",
        _schedule_with(progress=lambda s, n, w: (s - w) / n),
        "Your cosine begins where the warm-up ends, but does not arrive: at total_steps the rate jumps "
        "down to lr_min. How many steps are left for it after the warm-up?",
    ),
    Misconception(
        "whole_period",
        _schedule_with(fall=lambda p, top, low: low + (top - low) * (1 + math.cos(2 * math.pi * p)) / 2),
        "Your rate falls and rises again: that is a whole period of the cosine. How far must its angle "
        "go, to get from 1 to -1?",
    ),
    Misconception(
        "quarter_period",
        _schedule_with(fall=lambda p, top, low: low + (top - low) * math.cos(math.pi * p / 2)),
        "You use a quarter of the cosine, from 1 to 0: it ends at full slope. Half a period, from 1 to "
        "-1, is flat at both ends; it must be shifted and halved.",
    ),
    Misconception(
        "below_zero",
        _schedule_with(fall=lambda p, top, low: low + (top - low) * math.cos(math.pi * p)),
        "The cosine runs from 1 to -1, and so your rate falls below lr_min. Which 1 and which 1/2 bring "
        "it to the range from 1 to 0?",
    ),
    Misconception(
        "lr_min_added_on_top",
        _schedule_with(fall=lambda p, top, low: low + top * (1 + math.cos(math.pi * p)) / 2),
        "Your largest rate is lr_max + lr_min. The cosine spans the difference of the two.",
    ),
    Misconception(
        "lr_min_forgotten",
        _schedule_with(
            fall=lambda p, top, low: top * (1 + math.cos(math.pi * p)) / 2, end=lambda low: 0.0
        ),
        "Your rate falls to 0; it should fall to lr_min.",
        also=(_schedule_with(fall=lambda p, top, low: top * (1 + math.cos(math.pi * p)) / 2),),
    ),
    Misconception(
        "clipped_at_lr_min",
        _schedule_with(fall=lambda p, top, low: max(low, top * (1 + math.cos(math.pi * p)) / 2)),
        "You let the cosine fall to 0 and cut it off at lr_min. It should arrive at lr_min itself, with "
        "no corner.",
    ),
    Misconception(
        "rises_after_the_end",
        _schedule_with(stops=False),
        "After total_steps your rate rises again, since the cosine goes on. What should a run that is "
        "longer than planned use?",
    ),
    Misconception(
        "straight_line",
        _schedule_with(fall=lambda p, top, low: top + (low - top) * p),
        "Your rate falls in a straight line.",
    ),
    Misconception(
        "degrees",
        _schedule_with(fall=lambda p, top, low: low + (top - low) * (1 + math.cos(180 * p)) / 2),
        "math.cos takes radians. How many are 180 degrees?",
    ),
)


# clip_by_global_norm


def _clip_sample(rng):
    grads = [3 * array for _ in range(rng.integers(1, 5)) for array in _arrays(rng, 1)]
    return grads, float(rng.uniform(0.1, 1.5) * math.sqrt(sum(float((g**2).sum()) for g in grads)))


def _clip_oracle(grads, max_norm):
    """From one long vector and its unit vector."""
    flat = np.concatenate([np.ravel(grad) for grad in grads])
    norm = float(np.linalg.norm(flat))
    if norm > max_norm:
        flat = flat / norm * max_norm
    parts = np.split(flat, np.cumsum([grad.size for grad in grads])[:-1])
    return [part.reshape(grad.shape) for part, grad in zip(parts, grads)], norm


def _check_clip_by_hand(attempt):
    grads = [np.array([3.0]), np.array([[0.0, 4.0]])]
    expected = ([np.array([0.6]), np.array([[0.0, 0.8]])], 5.0)
    attempt.expect((grads, 1.0), expected, "3 and 4 are the sides of a triangle whose long side is 5.")


def _check_clip_short(attempt):
    grads = [np.array([0.3, -0.4]), np.zeros((2, 2))]
    why = "A gradient shorter than max_norm stays as it is."
    attempt.expect((grads, 1.0), (grads, 0.5), why)
    attempt.expect((grads, 0.5), (grads, 0.5), "One of exactly max_norm too.")


def _check_clip_edges(attempt):
    zero = [np.zeros(3), np.zeros((2, 1))]
    attempt.expect((zero, 1.0), (zero, 0.0), "A gradient of 0 stays 0: no division by 0, no NaN.")
    for grads in ([np.array([-7.0])], [np.array([6.0, 8.0])], [np.full((30, 30), -2.0), np.array([1.0])]):
        attempt.expect((grads, 2.5), _clip_oracle(grads, 2.5))


def _check_clip_random(attempt):
    rng = np.random.default_rng(12)
    for _ in range(25):
        grads, max_norm = _clip_sample(rng)
        grads = [10 * grad for grad in grads]
        attempt.expect((grads, max_norm), _clip_oracle(grads, max_norm))
        attempt.expect((grads, 20 * max_norm), _clip_oracle(grads, 20 * max_norm))


def _check_clip_direction(attempt):
    rng = np.random.default_rng(13)
    grads = [100 * array for array in _arrays(rng, 3, (4,))]
    clipped, _ = attempt(grads, 1.0)
    a, b = np.concatenate(grads), np.concatenate(clipped)
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    if abs(cosine - 1) > 1e-9:
        text = f"Clipping turned your gradient: the cosine between before and after is {cosine:.4f}; expected 1."
        raise Failed(text, (grads, 1.0))


def _clip_probes():
    rng = np.random.default_rng(14)
    first = [6 * array for array in (*_arrays(rng, 1, (3,)), *_arrays(rng, 1, (2, 2)))]
    second = [array / 10 for array in (*_arrays(rng, 1, (4,)), *_arrays(rng, 1, (2,)))]
    third = [np.array([40.0, -0.3, 2.0]), np.array([0.2]), np.array([[5.0]])]
    return [(first, 2.5), (second, 2.5), (third, 1.5)]


def _norm(grads):
    return math.sqrt(sum(float((grad**2).sum()) for grad in grads))


def _clip_with(length, reported=None):
    """Clipping by another length than the Euclidean one of the whole."""

    def clip(grads, max_norm):
        norm = float(length(grads))
        factor = min(1.0, max_norm / norm) if norm else 1.0
        return [grad * factor for grad in grads], norm if reported is None else reported(norm, max_norm)

    return clip


def _clip_each(grads, max_norm):
    return [clip_by_global_norm([grad], max_norm)[0][0] for grad in grads], _norm(grads)


def _clip_values(grads, max_norm):
    return [np.clip(grad, -max_norm, max_norm) for grad in grads], _norm(grads)


def _clip_always(grads, max_norm):
    norm = _norm(grads)
    return [grad * (max_norm / norm) for grad in grads], norm


def _factor_squared(grads, max_norm):
    norm = _norm(grads)
    return [grad * min(1.0, max_norm / norm**2) for grad in grads], norm


def _to_length_one(grads, max_norm):
    norm = _norm(grads)
    return [grad / norm if norm > max_norm else grad for grad in grads], norm


_CLIP_MISCONCEPTIONS = (
    Misconception(
        "each_array_by_itself",
        _clip_each,
        "Each of your arrays is clipped by its own length, which turns the gradient as a whole. All "
        "arrays together are one vector: how long is it?",
        also=(
            lambda grads, max_norm: (
                _clip_each(grads, max_norm)[0],
                [_norm([grad]) for grad in grads],
            ),
        ),
    ),
    Misconception(
        "each_value_by_itself",
        _clip_values,
        "You cut every number at max_norm. That changes the direction; what is wanted is one factor "
        "for all numbers.",
    ),
    Misconception(
        "always_scaled",
        _clip_always,
        "You stretch short gradients too. Clipping only shortens: near the minimum gradients must be "
        "allowed to be small.",
    ),
    Misconception(
        "root_forgotten",
        _clip_with(lambda grads: _norm(grads) ** 2),
        "Your norm is the sum of the squares. What is still missing?",
        also=(_factor_squared,),
    ),
    Misconception(
        "norms_added_up",
        _clip_with(lambda grads: sum(_norm([grad]) for grad in grads)),
        "You add up the lengths of the arrays. Two sides of a right triangle, 3 and 4: how long is the "
        "third?",
    ),
    Misconception(
        "sum_of_absolute_values",
        _clip_with(lambda grads: sum(np.abs(grad).sum() for grad in grads)),
        "Your length is the sum of absolute values. The Euclidean one is wanted.",
    ),
    Misconception(
        "largest_value",
        _clip_with(lambda grads: max(np.abs(grad).max() for grad in grads)),
        "Your length is the largest single number. All of them count.",
    ),
    Misconception(
        "longest_array",
        _clip_with(lambda grads: max(_norm([grad]) for grad in grads)),
        "Your length is that of the longest array. All arrays together are one vector.",
    ),
    Misconception(
        "root_mean_square",
        _clip_with(lambda grads: _norm(grads) / math.sqrt(sum(grad.size for grad in grads))),
        "Your length is divided by the number of entries. A norm is a sum, not a mean.",
    ),
    Misconception(
        "norm_after_clipping",
        _clip_with(_norm, lambda norm, max_norm: min(norm, max_norm)),
        "The arrays are right. The norm to report is the one before clipping: it tells how wild the "
        "gradient was.",
    ),
    Misconception(
        "to_length_one",
        _to_length_one,
        "Long gradients come out with length 1. They should come out with length max_norm.",
    ),
)

_RULE_SECTION = "Momentum, twice"

EXERCISES = (
    Exercise(
        id="optimizers.sgd_momentum",
        reference=sgd_momentum,
        difficulty=1,
        minutes=6,
        section=_RULE_SECTION,
        returns=("theta", "velocity"),
        hints=(
            "Two lines. First the velocity: the old one fades to beta of itself and the gradient is "
            "added, whole.",
            "Then theta moves by minus lr times the new velocity.",
            "velocity = beta * velocity + grad; return theta - lr * velocity, velocity. Not +=, which "
            "would change the caller's arrays.",
        ),
        checks=(
            Check("one number by hand", _check_momentum_by_hand),
            Check("first step and edge cases", _check_momentum_first),
            Check("random arrays", _check_momentum_random),
            Check("a run down a ravine", _check_momentum_run),
        ),
        misconceptions=_MOMENTUM_MISCONCEPTIONS,
        probes=_momentum_probes,
        sample=_momentum_sample,
    ),
    Exercise(
        id="optimizers.adam_step",
        reference=adam_step,
        difficulty=2,
        minutes=12,
        section="Adam",
        returns=("theta", "m", "v"),
        hints=(
            "Five lines: m, v, their two corrected forms, theta. m and v are running means of the "
            "gradient and of its square.",
            "A running mean that began at 0 holds only 1 - beta**t of its weight after t steps. Divide "
            "by that.",
            "theta - lr * m_hat / (np.sqrt(v_hat) + eps); hand on m and v, not m_hat and v_hat.",
        ),
        checks=(
            Check("one number by hand", _check_adam_by_hand),
            Check("length of the first step", _check_adam_first_step),
            Check("edge cases", _check_adam_edges),
            Check("random arrays", _check_random(_adam_sample)),
            Check("a run down a ravine", _check_adam_run),
        ),
        misconceptions=_ADAM_MISCONCEPTIONS,
        probes=_adam_probes,
        sample=_adam_sample,
    ),
    Exercise(
        id="optimizers.adamw_step",
        reference=adamw_step,
        difficulty=2,
        minutes=6,
        section="AdamW",
        returns=("theta", "m", "v"),
        hints=(
            "Adam's step on the gradient as it is, and a second, separate pull of theta towards 0.",
            "The pull is lr * weight_decay * theta, with the theta that came in.",
            "theta - lr * weight_decay * theta - lr * m_hat / (np.sqrt(v_hat) + eps). You may call your "
            "adam_step.",
        ),
        checks=(
            Check("one number by hand", _check_adamw_by_hand),
            Check("decay alone", _check_adamw_decay_alone),
            Check("edge cases", _check_adamw_edges),
            Check("random arrays", _check_random(_adamw_sample)),
            Check("a run down a ravine", _check_adamw_run),
        ),
        misconceptions=_ADAMW_MISCONCEPTIONS,
        probes=_adamw_probes,
        sample=_adamw_sample,
    ),
    Exercise(
        id="optimizers.cosine_schedule",
        reference=cosine_schedule,
        difficulty=2,
        minutes=10,
        section="Schedules",
        hints=(
            "Three cases in this order: step < warmup_steps, step >= total_steps, and what lies "
            "between.",
            "Between: progress = (step - warmup_steps) / (total_steps - warmup_steps) runs from 0 to 1.",
            "(1 + cos(pi * progress)) / 2 falls from 1 to 0. Multiply by lr_max - lr_min and add lr_min.",
        ),
        checks=(
            Check("warm-up", _check_schedule_warmup),
            Check("four steps by hand", _check_schedule_by_hand),
            Check("edge cases", _check_schedule_edges),
            Check("random schedules", _check_schedule_random),
            Check("up, then down", _check_schedule_whole),
        ),
        misconceptions=_SCHEDULE_MISCONCEPTIONS,
        probes=_schedule_probes,
        sample=_schedule_sample,
    ),
    Exercise(
        id="optimizers.clip_by_global_norm",
        reference=clip_by_global_norm,
        difficulty=2,
        minutes=8,
        section="Clipping",
        returns=("clipped", "norm"),
        hints=(
            "The norm of one long vector: square every number of every array, add all up, take the "
            "root.",
            "One factor for all arrays: max_norm / norm where the norm is larger than max_norm, else 1.",
            "Return a list of new arrays, grad * factor each, and the norm from before.",
        ),
        checks=(
            Check("3, 4, 5", _check_clip_by_hand),
            Check("short gradients", _check_clip_short),
            Check("edge cases", _check_clip_edges),
            Check("random gradients", _check_clip_random),
            Check("direction", _check_clip_direction),
        ),
        misconceptions=_CLIP_MISCONCEPTIONS,
        probes=_clip_probes,
        sample=_clip_sample,
    ),
)
