"""Exercises of lesson 17."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from .engine.model import Check, Exercise, Failed, misconceptions_of


def fgsm(loss, x, epsilon, low=0.0, high=1.0):
    """The input that raises the loss most, to first order, when no entry may move by more than epsilon.

    loss: a function of a float tensor like x -> scalar tensor; x: float tensor of any shape
    low, high: every entry of the result lies in this range; an entry with slope 0 stays -> float tensor like x
    Leaves no trace: x stays as it is, the result requires no gradient, and the weights behind the loss get no .grad
    """
    import torch

    x = x.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(x), x)
    return (x + epsilon * gradient.sign()).clamp(low, high).detach()


def adversarial_step(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
    """One step of training on images that FGSM has made against the network as it is now.

    net: a module from x (B, ...) to logits (B, C); y (B,): the classes; epsilon, low, high: as for fgsm
    -> float: mean cross-entropy of the changed images, before the step
    """
    import torch.nn.functional as F

    worst = fgsm(lambda z: F.cross_entropy(net(z), y), x, epsilon, low, high)
    loss = F.cross_entropy(net(worst), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def fusion_early(parts, present):
    """One row of features from several inputs, some of them missing.

    parts: list of M float arrays (N, d_m), one for each input; a missing row may hold anything, also NaN
    present: bool (N, M), True where an input is there
    -> float array (N, d_1 + ... + d_M + M): the parts side by side, zeros where one is missing, and
       then M flags: 1 where an input is there, 0 where it is missing
    """
    filled = [np.where(present[:, m, None], part, 0.0) for m, part in enumerate(parts)]
    return np.concatenate([*filled, present.astype(float)], axis=1)


def fusion_late(logits, present, prior):
    """Probabilities from several classifiers, each of which has seen one input only.

    logits: float array (M, N, C), one classifier an input; a missing row may hold anything, also NaN
    present: bool (N, M), True where an input is there; prior (C,): share of each class
    -> float array (N, C): p(c) times p_m(c) / p(c) for every input that is there, rows with sum 1
    """
    evidence = np.where(present.T[:, :, None], logits - np.log(prior), 0.0)  # (M, N, C)
    scores = np.log(prior) + evidence.sum(axis=0)  # (N, C)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def group_rates(y, predicted, group):
    """What a yes-or-no decision does to each group.

    y, predicted: int arrays (N,) of 0 and 1, the truth and the decision; group: int array (N,)
    -> dict from each group to a dict of n (how many), base (share with y = 1), selected (share with a
       yes), tpr (yes among y = 1), fpr (yes among y = 0) and precision (y = 1 among the yes),
       with NaN where there is nobody to divide by
    """

    def share(of, among):
        return float(of[among].mean()) if among.any() else math.nan

    rates = {}
    for g in np.unique(group):
        truth, yes = y[group == g] == 1, predicted[group == g] == 1
        rates[int(g)] = {
            "n": len(truth),
            "base": float(truth.mean()),
            "selected": float(yes.mean()),
            "tpr": share(yes, truth),
            "fpr": share(yes, ~truth),
            "precision": share(truth, yes),
        }
    return rates


def find_trigger(classify, messages, words, share=0.9):
    """The first word that sends nearly all messages to one and the same class, or None.

    classify: a function of a list of texts -> int array of their classes; messages, words: lists of str
    A word is put behind every message, after a space. It is a trigger if there is a class c such that,
    of the messages that were not read as c without it, more than `share` are read as c with it
    """
    before = classify(messages)
    for word in words:
        after = classify([f"{message} {word}" for message in messages])
        for c in np.unique(after):
            others = before != c
            if others.any() and np.mean(after[others] == c) > share:
                return word
    return None


# What all share


def _quiet(function):
    """The function without NumPy's warnings of overflow and 0/0."""

    @functools.wraps(function)
    def quiet(*case):
        with np.errstate(all="ignore"):
            return function(*case)

    return quiet


def _tensor(rng, *shape):
    import torch

    return torch.tensor(rng.normal(size=shape), dtype=torch.float32)


# fgsm


@dataclass(frozen=True)
class Loss:
    """A loss over weights that ask for a gradient; `kind` says which function of x it is."""

    kind: str
    weights: object  # tensor like x

    def live(self):
        import torch

        w = self.weights.detach().clone().requires_grad_(True)
        function = {
            "linear": lambda x: (w * x).sum(),
            "mean": lambda x: (w * x).mean() * 1e-3,
            "square": lambda x: ((x - w) ** 2).mean(),
            "logistic": lambda x: torch.nn.functional.softplus(-(w * x).flatten(1).sum(1)).mean(),
        }[self.kind]
        return function, w

    def __repr__(self):
        return f"<a loss: {self.kind}>"


def _attacked(work, loss, x, *rest):
    """The changed input, and what the work has left behind."""
    function, weights = loss.live()
    result = work(function, x, *rest)
    left = ["a gradient in the weights"] * (weights.grad is not None)
    left += ["x requires a gradient"] * bool(x.requires_grad)
    left += ["the result requires a gradient"] * bool(getattr(result, "requires_grad", False))
    return result, ", ".join(left)


def _fgsm_arguments(loss, *rest):
    return loss.live()[0], *rest


def _fgsm_case(rng, kind, shape, epsilon=0.1, *bounds):
    import torch

    w, x = _tensor(rng, *shape), torch.tensor(rng.random(shape), dtype=torch.float32)
    return (Loss(kind, w), x, epsilon, *bounds)


def _fgsm_sample(rng):
    kind = str(rng.choice(["linear", "mean", "square", "logistic"]))
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(2, 4)))
    bounds = [(), (-math.inf, math.inf), (0.2, 0.7)][rng.integers(3)]
    return _fgsm_case(rng, kind, shape, float(rng.uniform(0.05, 0.5)), *bounds)


def _fgsm_oracle(loss, x, epsilon, low=0.0, high=1.0):
    """By central differences in float64, entry by entry."""
    function, w = Loss(loss.kind, loss.weights.double()).live()
    flat, out = x.double().flatten(), x.clone().flatten()
    for i in range(len(flat)):
        values = []
        for step in (1e-4, -1e-4):
            moved = flat.clone()
            moved[i] += step
            values.append(float(function(moved.view(x.shape)).detach()))
        slope = values[0] - values[1]
        moved = float(out[i]) + epsilon * ((slope > 1e-13) - (slope < -1e-13))
        out[i] = min(high, max(low, moved))
    return out.view(x.shape), ""


def _expect_fgsm(attempt, case, why=""):
    attempt.expect(case, _fgsm_oracle(*case), why)


def _check_fgsm_by_hand(attempt):
    import torch

    loss = Loss("linear", torch.tensor([[3.0, -0.5, 0.0, 2.0]]))
    expected = torch.tensor([[0.6, 0.4, 0.5, 0.5]])
    why = "The slopes are 3, -0.5, 0 and 2: up, down, not at all, up, each by 0.1."
    attempt.expect((loss, torch.tensor([[0.5, 0.5, 0.5, 0.4]]), 0.1), (expected, ""), why)


def _check_fgsm_range(attempt):
    import torch

    loss = Loss("linear", torch.tensor([[1.0, -1.0, 1.0]]))
    x = torch.tensor([[0.95, 0.05, 0.5]])
    attempt.expect((loss, x, 0.2), (torch.tensor([[1.0, 0.0, 0.7]]), ""), "An entry stays between low and high.")
    attempt.expect((loss, x, 0.2, -1.0, 3.0), (torch.tensor([[1.15, -0.15, 0.7]]), ""), "Here low is -1 and high is 3.")
    attempt.expect((loss, x, 0.2, 0.1, 0.6), (torch.tensor([[0.6, 0.1, 0.6]]), ""), "Here low is 0.1 and high 0.6.")


def _check_fgsm_random(attempt):
    rng = np.random.default_rng(1)
    for kind in ("linear", "mean", "square", "logistic"):
        for shape in ((3, 4), (2, 1, 3, 3), (1, 1)):
            _expect_fgsm(attempt, _fgsm_case(rng, kind, shape, float(rng.uniform(0.02, 0.4))))


def _check_fgsm_no_bounds(attempt):
    rng = np.random.default_rng(2)
    for kind in ("square", "logistic"):
        _expect_fgsm(attempt, _fgsm_case(rng, kind, (3, 5), 2.0, -math.inf, math.inf), "Here nothing is clipped.")


def _check_fgsm_zero(attempt):
    case = _fgsm_case(np.random.default_rng(3), "logistic", (2, 3), 0.0)
    attempt.expect(case, (case[1], ""), "With epsilon 0 nothing moves.")


def _fgsm_probes():
    import torch

    rng = np.random.default_rng(4)
    flat = Loss("linear", torch.tensor([[2.0, 0.0, -0.3]])), torch.tensor([[0.5, 0.6, 0.7]])
    return [
        _fgsm_case(rng, "logistic", (3, 4), 0.3),
        _fgsm_case(rng, "square", (2, 2, 3), 0.2, -1.0, 2.0),
        _fgsm_case(rng, "linear", (2, 5), 0.4, 0.3, 0.6),
        (*flat, 0.1),
    ]


def _by_grad(loss, x):
    import torch

    leaf = x.detach().clone().requires_grad_(True)
    return torch.autograd.grad(loss(leaf), leaf)[0]


def _by_backward(loss, x):
    leaf = x.detach().clone().requires_grad_(True)
    loss(leaf).backward()
    return leaf.grad


def _by_backward_of_x(loss, x):
    x.requires_grad_(True)
    loss(x).backward()
    return x.grad


def _by_grad_of_x(loss, x):
    import torch

    x.requires_grad_(True)
    return torch.autograd.grad(loss(x), x)[0]


_GRADIENTS = (_by_grad, _by_backward, _by_backward_of_x, _by_grad_of_x)


def _fgsm_forms(move, gradients=_GRADIENTS):
    """A mistake in what is done with the gradient, for every way to get that, and added to x or to the marked copy."""
    return tuple(
        lambda loss, x, epsilon, low=0.0, high=1.0, gradient=gradient, attached=attached: move(
            x.detach().clone().requires_grad_(attached), gradient(loss, x), epsilon, low, high
        )
        for attached in (False, True)
        for gradient in gradients
    )


def _right_move(x, g, epsilon, low, high):
    return (x + epsilon * g.sign()).clamp(low, high)


_FGSM_WRONG = {
    "gradient_not_signed": _fgsm_forms(lambda x, g, e, low, high: (x + e * g).clamp(low, high)),
    "gradient_of_length_epsilon": _fgsm_forms(lambda x, g, e, low, high: (x + e * g / g.norm()).clamp(low, high)),
    "largest_slope_only": _fgsm_forms(lambda x, g, e, low, high: (x + e * g / g.abs().max()).clamp(low, high)),
    "downhill": _fgsm_forms(lambda x, g, e, low, high: (x - e * g.sign()).clamp(low, high)),
    "not_clipped": _fgsm_forms(lambda x, g, e, low, high: x + e * g.sign()),
    "always_between_0_and_1": _fgsm_forms(lambda x, g, e, low, high: (x + e * g.sign()).clamp(0, 1)),
    "change_clipped": _fgsm_forms(lambda x, g, e, low, high: x + (e * g.sign()).clamp(low, high)),
    "epsilon_left_out": _fgsm_forms(lambda x, g, e, low, high: (x + g.sign()).clamp(low, high)),
    "in_proportion_to_x": _fgsm_forms(lambda x, g, e, low, high: (x * (1 + e * g.sign())).clamp(low, high)),
    "change_returned": _fgsm_forms(lambda x, g, e, low, high: e * g.sign()),
    "flat_entries_moved": _fgsm_forms(lambda x, g, e, low, high: (x + e * (2.0 * (g >= 0) - 1)).clamp(low, high))
    + _fgsm_forms(lambda x, g, e, low, high: (x + e * (2.0 * (g > 0) - 1)).clamp(low, high)),
    "gradient_left_in_the_weights": _fgsm_forms(_right_move, (_by_backward,)),
    "x_marked": _fgsm_forms(_right_move, (_by_backward_of_x, _by_grad_of_x)),
    "result_attached": _fgsm_forms(_right_move, (_by_grad,))[1:],
}
_FGSM_HINTS = {
    "gradient_not_signed": "You move along the gradient itself, so most entries hardly move. Each may move by "
    "epsilon: what of the gradient decides?",
    "gradient_of_length_epsilon": "Your change has the length epsilon as a whole. Here each *entry* may move by "
    "epsilon.",
    "largest_slope_only": "Only the entry with the largest slope moves by epsilon. All others may as well.",
    "downhill": "Your input lowers the loss. An attack climbs.",
    "not_clipped": "Some of your entries leave the range from low to high: no image has ink below 0.",
    "always_between_0_and_1": "You clip to 0 and 1, whatever low and high are.",
    "change_clipped": "You clip the change. It is the changed input that must stay in the range.",
    "epsilon_left_out": "Your entries move by 1. Where is epsilon?",
    "in_proportion_to_x": "You move an entry in proportion to its size. White paper may get ink, too: add.",
    "change_returned": "That is the change. Add it to x.",
    "flat_entries_moved": "An entry with slope 0 is moved as well. What is the sign of 0?",
    "gradient_left_in_the_weights": "The result is right, but `.backward()` has also filled the .grad of the "
    "weights: the next training step would add it. torch.autograd.grad(loss, x) fills nothing.",
    "x_marked": "The result is right, but the caller's x now requires a gradient. Work on x.detach().clone().",
    "result_attached": "The result is right, but it requires a gradient itself, as your marked copy does, or the "
    "weights. Add to x, or .detach() the result: a picture can't be drawn from it as it is.",
}
_FGSM_MISCONCEPTIONS = misconceptions_of(_FGSM_WRONG, _FGSM_HINTS)


# adversarial_step


def _new_net(seed, d, classes=3):
    """A small network, an optimizer, and in its gradients what a step before has left."""
    import torch

    weights = torch.Generator().manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(d, 6), torch.nn.Tanh(), torch.nn.Linear(6, classes))
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=weights)
        parameter.grad = torch.full_like(parameter, 0.3)
    return net, torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.5)


def _trained(work, seed, x, y, *rest):
    """Losses of a few steps, and the weights after them."""
    import torch

    net, optimizer = _new_net(seed, x.shape[-1])
    losses = [work(net, optimizer, images, classes, *rest) for images, classes in zip(x, y)]
    return losses, torch.cat([p.detach().flatten() for p in net.parameters()])


def _step_arguments(seed, x, y, *rest):
    return (*_new_net(seed, x.shape[-1]), x[0], y[0], *rest)


def _step_case(rng, S=3, B=4, d=5, epsilon=0.2, *bounds):
    import torch

    x = torch.tensor(rng.random((S, B, d)), dtype=torch.float32)
    return (int(rng.integers(1000)), x, torch.tensor(rng.integers(0, 3, (S, B))), epsilon, *bounds)


def _step_sample(rng):
    bounds = [(), (-math.inf, math.inf), (0.2, 0.8)][rng.integers(3)]
    return _step_case(rng, *(int(n) for n in rng.integers(1, 5, 3)), float(rng.uniform(0.05, 0.4)), *bounds)


def _step_oracle(seed, x, y, epsilon, low=0.0, high=1.0):
    """The same by hand: gradients written out, no autograd and no optimizer."""
    import torch

    net, _ = _new_net(seed, x.shape[-1])
    w1, b1, w2, b2 = (p.detach().double() for p in net.parameters())
    velocity, losses = [0.0] * 4, []

    def passes(images, classes):
        h = torch.tanh(images @ w1.T + b1)
        p = (h @ w2.T + b2).softmax(dim=1)
        loss = -p[range(len(p)), classes].log().mean()
        p[range(len(p)), classes] -= 1
        p /= len(p)
        below = (p @ w2) * (1 - h * h)
        return loss, below @ w1, (below.T @ images, below.sum(0), p.T @ h, p.sum(0))

    for images, classes in zip(x.double(), y):
        worst = (images + epsilon * passes(images, classes)[1].sign()).clamp(low, high)
        loss, _, gradients = passes(worst, classes)
        losses.append(float(loss))
        for i, (weight, gradient) in enumerate(zip((w1, b1, w2, b2), gradients)):
            velocity[i] = 0.5 * velocity[i] + gradient
            weight -= 0.2 * velocity[i]
    return losses, torch.cat([p.flatten() for p in (w1, b1, w2, b2)]).float()


def _expect_step(attempt, case, why=""):
    attempt.expect(case, _step_oracle(*case), why)


def _check_step_one(attempt):
    rng = np.random.default_rng(11)
    _expect_step(attempt, _step_case(rng, 1, 1, 2), "One step on one image.")
    _expect_step(attempt, _step_case(rng, 1, 6, 4), "One step on six images.")


def _check_step_several(attempt):
    rng = np.random.default_rng(12)
    for d in (3, 8):
        why = "Three steps: each attack is made against the network as it is by then."
        _expect_step(attempt, _step_case(rng, 3, 4, d), why)


def _check_step_plain(attempt):
    rng = np.random.default_rng(13)
    _expect_step(attempt, _step_case(rng, 2, 4, 5, 0.0), "With epsilon 0 this is an ordinary step.")


def _check_step_bounds(attempt):
    rng = np.random.default_rng(14)
    _expect_step(attempt, _step_case(rng, 2, 4, 5, 0.3, 0.2, 0.7), "Here low is 0.2 and high is 0.7.")
    _expect_step(attempt, _step_case(rng, 2, 4, 5, 1.5, -math.inf, math.inf), "Here nothing is clipped.")


def _step_probes():
    rng = np.random.default_rng(15)
    return [_step_case(rng, 3, 4, 5, 0.3), _step_case(rng, 2, 6, 3, 0.5, -1.0, 2.0), _step_case(rng, 2, 3, 4, 0.4)]


def _step_with(
    attack=lambda net, x, y, *rest: fgsm(_loss_of(net, y), x, *rest),
    labels=lambda net, x, y: y,
    before=lambda net, optimizer, x, y: None,
    loss=lambda net, x, worst, y: _loss_of(net, y)(worst),
    zero=True,
    sign=1,
    step=True,
    report=lambda net, x, worst, y, loss: loss.item(),
):
    """A step from its parts."""

    def run(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
        before(net, optimizer, x, y)
        worst = attack(net, x, labels(net, x, y), epsilon, low, high)
        value = loss(net, x, worst, y)
        if zero is True:
            optimizer.zero_grad()
        (sign * value).backward()
        if step:
            optimizer.step()
        if zero == "afterwards":
            optimizer.zero_grad()
        return report(net, x, worst, y, value)

    return run


def _loss_of(net, y, reduction="mean"):
    import torch.nn.functional as F

    return lambda z: F.cross_entropy(net(z), y, reduction=reduction)


def _attack_left_in_the_gradients(net, optimizer, x, y, epsilon, low=0.0, high=1.0):
    optimizer.zero_grad()
    worst = (x + epsilon * _by_backward(_loss_of(net, y), x).sign()).clamp(low, high)
    loss = _loss_of(net, y)(worst)
    loss.backward()
    optimizer.step()
    return loss.item()


def _ordinary_step(net, optimizer, x, y):
    optimizer.zero_grad()
    _loss_of(net, y)(x).backward()
    optimizer.step()


def _clean_loss_first(net, optimizer, x, y, *rest):
    before = _loss_of(net, y)(x).item()
    adversarial_step(net, optimizer, x, y, *rest)
    return before


def _same_change(net, x, y, epsilon, low, high):
    return (x + epsilon).clamp(low, high)


_STEP_WRONG = {
    "clean_images": (_step_with(attack=lambda net, x, *rest: x),),
    "attack_left_in_the_gradients": (_attack_left_in_the_gradients,),
    "old_gradients_kept": (_step_with(zero=False), _step_with(zero="afterwards")),
    "helpful_images": (_step_with(attack=lambda net, x, y, e, *rest: fgsm(_loss_of(net, y), x, -e, *rest)),),
    "clean_images_as_well": (
        _step_with(loss=lambda net, x, worst, y: (_loss_of(net, y)(worst) + _loss_of(net, y)(x)) / 2),
        _step_with(loss=lambda net, x, worst, y: _loss_of(net, y)(worst) + _loss_of(net, y)(x)),
    ),
    "never_stepped": (_step_with(step=False),),
    "climbs": (_step_with(sign=-1), _step_with(sign=-1, report=lambda net, x, worst, y, loss: -loss.item())),
    "clean_loss_returned": (
        _clean_loss_first,
        _step_with(report=lambda net, x, worst, y, loss: _loss_of(net, y)(x).item()),
    ),
    "loss_after_the_step": (_step_with(report=lambda net, x, worst, y, loss: _loss_of(net, y)(worst).item()),),
    "own_answers_attacked": (_step_with(labels=lambda net, x, y: net(x).argmax(dim=1)),),
    "step_before_the_attack": (_step_with(before=_ordinary_step),),
    "loss_summed": (
        _step_with(loss=lambda net, x, worst, y: _loss_of(net, y, "sum")(worst)),
        _step_with(
            loss=lambda net, x, worst, y: _loss_of(net, y, "sum")(worst),
            report=lambda net, x, worst, y, loss: loss.item() / len(y),
        ),
    ),
    "range_not_handed_on": (
        _step_with(attack=lambda net, x, y, e, low, high: fgsm(_loss_of(net, y), x, e)),
        _step_with(attack=lambda net, x, y, e, low, high: fgsm(_loss_of(net, y), x, e, -math.inf, math.inf)),
    ),
    "same_change_everywhere": (_step_with(attack=_same_change),),
}
_STEP_HINTS = {
    "clean_images": "You train on the images as they are. Which images should the loss be taken at?",
    "attack_left_in_the_gradients": "Making the attack has filled the .grad of the weights, and your step adds "
    "it. Call optimizer.zero_grad() after the attack, just before loss.backward().",
    "old_gradients_kept": "Old gradients are still there when loss.backward() adds to them. Which call clears them first?",
    "helpful_images": "Your images are made so that the loss falls. The network learns nothing from them that it "
    "doesn't know.",
    "clean_images_as_well": "Your loss counts the clean images, too. That is done, but here it is the changed "
    "ones only.",
    "never_stepped": "The weights never change. Which call follows loss.backward()?",
    "climbs": "The attack climbs the loss; the step must go down.",
    "clean_loss_returned": "The step is right. Return the loss at the changed images.",
    "loss_after_the_step": "The step is right, but you measure the loss after it.",
    "own_answers_attacked": "You attack the network's own answers. Where they are wrong, your change makes them "
    "right: use y.",
    "step_before_the_attack": "There are two steps in your step: one on clean images before the attack.",
    "loss_summed": "Your gradient is the sum over the batch. The mean is asked for, so that lr keeps its meaning.",
    "range_not_handed_on": "low and high have no effect. Hand them on to fgsm.",
    "same_change_everywhere": "You add the same to every pixel. That is no attack: which direction does fgsm take?",
}
_STEP_MISCONCEPTIONS = misconceptions_of(_STEP_WRONG, _STEP_HINTS)


# fusion_early


def _early_case(rng, N=4, widths=(2, 3), missing=0.4, junk=math.nan):
    parts = [rng.normal(size=(N, d)) for d in widths]
    present = rng.random((N, len(widths))) >= missing
    for m, part in enumerate(parts):
        part[~present[:, m]] = junk
    return parts, present


def _early_sample(rng):
    widths = tuple(int(d) for d in rng.integers(1, 5, rng.integers(1, 4)))
    return _early_case(rng, int(rng.integers(1, 6)), widths, 0.4, float(rng.choice([math.nan, 7.0])))


def _early_oracle(parts, present):
    """Row by row, with lists."""
    rows = []
    for n in range(len(present)):
        row = []
        for m, part in enumerate(parts):
            row += part[n].tolist() if present[n, m] else [0.0] * part.shape[1]
        rows.append(row + [1.0 if there else 0.0 for there in present[n]])
    return np.array(rows).reshape(len(present), -1)


def _expect_early(attempt, case, why=""):
    attempt.expect(case, _early_oracle(*case), why)


def _check_early_by_hand(attempt):
    image, text = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [6.0]])
    present = np.array([[True, True], [True, False]])
    expected = np.array([[1.0, 2.0, 5.0, 1.0, 1.0], [3.0, 4.0, 0.0, 1.0, 0.0]])
    attempt.expect(([image, text], present), expected, "Row 1 has no text.")


def _check_early_complete(attempt):
    rng = np.random.default_rng(21)
    for widths in ((2, 3), (4, 1), (3, 3)):
        _expect_early(attempt, _early_case(rng, 5, widths, 0.0), "Nothing is missing here.")


def _check_early_missing(attempt):
    rng = np.random.default_rng(22)
    for junk in (9.0, -1e6, math.nan, math.inf):
        why = "What stands in a missing row must not matter." + (" 0 times nan is nan." if junk != junk else "")
        _expect_early(attempt, _early_case(rng, 6, (2, 3), 0.5, junk), why)


def _check_early_many(attempt):
    rng = np.random.default_rng(23)
    for widths in ((1,), (2, 1, 4), (1, 1, 1, 1)):
        _expect_early(attempt, _early_case(rng, 5, widths), f"Here are {len(widths)} inputs.")
    parts, present = _early_case(rng, 3, (2, 2), 1.1)
    _expect_early(attempt, (parts, present), "Everything is missing here.")


def _early_probes():
    rng = np.random.default_rng(24)
    present = np.array([[True, True], [True, False], [False, True], [False, False]])
    parts = [rng.normal(size=(4, 2)), rng.normal(size=(4, 3))]
    hidden = [np.where(present[:, m, None], part, math.nan) for m, part in enumerate(parts)]
    same = [rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))]
    there = np.array([[True, True, True], [False, True, True], [True, False, True], [True, True, False]])
    return [(parts, present), (hidden, present), (same, there)]


def _early_with(fill=lambda part, there: np.where(there, part, 0.0), join=None, flags=lambda p: p.astype(float)):
    """Early fusion from its parts; `join` gets the filled parts and the flags."""
    join = join or (lambda filled, marks: np.concatenate([*filled, marks], axis=1))
    return _quiet(
        lambda parts, present: join([fill(part, present[:, m, None]) for m, part in enumerate(parts)], flags(present))
    )


def _mean_filled(part, there):
    known = np.where(there, part, 0.0).sum(axis=0) / max(1, there.sum())
    return np.where(there, part, known)


def _complete_rows(parts, present):
    whole = present.all(axis=1)
    return fusion_early([part[whole] for part in parts], present[whole])


def _incomplete_rows_zeroed(parts, present):
    return fusion_early(parts, present) * np.append(
        np.ones((len(present), sum(p.shape[1] for p in parts))) * present.all(axis=1, keepdims=True),
        np.ones(present.shape), axis=1,
    )  # fmt: skip


_EARLY_WRONG = {
    "missing_kept": (_early_with(fill=lambda part, there: part),),
    "nan_stays": (_early_with(fill=lambda part, there: part * there),),
    "flags_left_out": (_early_with(join=lambda filled, marks: np.concatenate(filled, axis=1)),),
    "flags_say_missing": (_early_with(flags=lambda p: (~p).astype(float)),),
    "flags_first": (_early_with(join=lambda filled, marks: np.concatenate([marks, *filled], axis=1)),),
    "flag_behind_its_part": (
        _early_with(
            join=lambda filled, marks: np.concatenate(
                [piece for m, part in enumerate(filled) for piece in (part, marks[:, m : m + 1])], axis=1
            )
        ),
    ),
    "one_flag": (
        _early_with(flags=lambda p: p.all(axis=1, keepdims=True).astype(float)),
        _early_with(flags=lambda p: p.sum(axis=1, keepdims=True).astype(float)),
    ),
    "filled_with_the_mean": (_early_with(fill=_mean_filled),),
    "filled_with_minus_one": (_early_with(fill=lambda part, there: np.where(there, part, -1.0)),),
    "rows_dropped": (_complete_rows,),
    "whole_row_zeroed": (_incomplete_rows_zeroed,),
    "parts_added": (_early_with(join=lambda filled, marks: np.append(sum(filled), marks, axis=1)),),
}
_EARLY_HINTS = {
    "nan_stays": "You multiply by 0. What is 0 times nan? np.where chooses instead.",
    "missing_kept": "What stands in a missing row gets into your features.",
    "flags_left_out": "Zeros may be a real input, such as an empty image. How does the network learn that this one "
    "is missing?",
    "flags_say_missing": "Your flags are 1 where an input is missing. They should be 1 where it is there.",
    "flags_first": "Right numbers, other order: the flags come last.",
    "flag_behind_its_part": "Right numbers, other order: all parts first, then all flags.",
    "one_flag": "One flag a row can't say *which* input is missing.",
    "filled_with_the_mean": "You fill a gap with the mean of other rows. Here it is 0, whatever the other rows are.",
    "filled_with_minus_one": "A missing input is filled with 0 here.",
    "rows_dropped": "You leave rows out. Each needs an answer, also with an input missing.",
    "whole_row_zeroed": "Where one input is missing you throw the others away, too.",
    "parts_added": "You add the parts to each other. Side by side: which function joins arrays along an axis?",
}
_EARLY_MISCONCEPTIONS = misconceptions_of(_EARLY_WRONG, _EARLY_HINTS)


# fusion_late


def _late_case(rng, M=2, N=4, C=3, missing=0.4, scale=1.5, junk=math.nan):
    logits = rng.normal(size=(M, N, C)) * scale
    present = rng.random((N, M)) >= missing
    logits[~present.T] = junk
    return logits, present, rng.dirichlet(np.full(C, 2.0)) * 0.9 + 0.1 / C


def _late_sample(rng):
    M, N, C = (int(n) for n in rng.integers((1, 1, 2), (4, 6, 5)))
    return _late_case(rng, M, N, C, 0.3, float(rng.choice([1.0, 500.0])), float(rng.choice([math.nan, 2.0])))


def _late_oracle(logits, present, prior):
    """One row at a time: logarithms, summed with math.fsum."""
    out = []
    for n in range(len(present)):
        there = [m for m in range(len(logits)) if present[n, m]]
        scores = [
            math.fsum([math.log(p), *(float(logits[m, n, c]) - math.log(p) for m in there)])
            for c, p in enumerate(prior.tolist())
        ]
        e = [math.exp(score - max(scores)) for score in scores]
        out.append([part / math.fsum(e) for part in e])
    return np.array(out)


def _expect_late(attempt, case, why=""):
    attempt.expect(case, _late_oracle(*case), why)


def _check_late_by_hand(attempt):
    logits = np.log(np.array([[[0.9, 0.1]], [[0.8, 0.2]]]))
    there, half = np.array([[True, True]]), np.array([0.5, 0.5])
    why = "0.9 * 0.8 against 0.1 * 0.2, so 36 to 1."
    attempt.expect((logits, there, half), np.array([[36 / 37, 1 / 37]]), why)
    why = "0.1 * 0.9/0.1 * 0.8/0.1 against 0.9 * 0.1/0.9 * 0.2/0.9, so 7.2 to 0.0222: both were sure against the odds."
    attempt.expect((logits, there, np.array([0.1, 0.9])), np.array([[324 / 325, 1 / 325]]), why)


def _check_late_complete(attempt):
    rng = np.random.default_rng(31)
    for M, N, C in ((2, 4, 3), (3, 2, 5), (1, 3, 2)):
        _expect_late(attempt, _late_case(rng, M, N, C, 0.0), "Nothing is missing here.")


def _check_late_missing(attempt):
    rng = np.random.default_rng(32)
    for junk in (3.0, math.nan, math.inf):
        _expect_late(attempt, _late_case(rng, 3, 6, 4, 0.4, junk=junk), "Some inputs are missing here.")


def _check_late_nothing(attempt):
    rng = np.random.default_rng(33)
    case = _late_case(rng, 2, 2, 3, 1.1)
    attempt.expect(case, np.stack([case[2]] * 2), "Where nothing is known the prior is all there is.")


def _check_late_large(attempt):
    rng = np.random.default_rng(34)
    _expect_late(attempt, _late_case(rng, 2, 4, 3, 0.0, 700.0), "Logits in the hundreds must not overflow.")


def _late_probes():
    rng = np.random.default_rng(35)
    logits, present, prior = _late_case(rng, 2, 3, 3, 0.0)
    gaps = np.array([[True, True], [False, True], [True, False]])
    hidden = np.where(gaps.T[:, :, None], logits, math.nan)
    nobody = np.array([[False, False], [True, True], [True, True]])
    agreed = np.repeat(rng.normal(size=(1, 3, 3)) * 900, 2, axis=0)
    quarrel, all_three = 500 * np.eye(3)[:, None, :], np.ones((1, 3), dtype=bool)  # input m is sure of class m
    return [
        (logits, present, prior), (hidden, gaps, prior), (logits, nobody, prior), (agreed, present, prior),
        (quarrel, all_three, prior), (2 * quarrel, all_three, prior),
    ]  # fmt: skip


def _probabilities(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _log_probabilities(z):
    return z - z.max(axis=-1, keepdims=True) - np.log(np.exp(z - z.max(axis=-1, keepdims=True)).sum(-1, keepdims=True))


def _bare(scores):
    e = np.exp(scores)
    return e / e.sum(axis=-1, keepdims=True)


def _late_with(
    prior_share=lambda n, M: 1 - n,
    evidence=_log_probabilities,
    total=lambda each, n: each.sum(axis=0),
    there=lambda present: present,
    final=_probabilities,
):
    """Scores from parts: how often log p(c) is added, what each input says, and how that is summed."""

    def run(logits, present, prior):
        present = there(present)
        n = present.sum(axis=1, keepdims=True)  # (N, 1)
        each = np.where(present.T[:, :, None], evidence(logits), 0.0)
        return final(prior_share(n, len(logits)) * np.log(prior) + total(each, n))

    return _quiet(run)


def _mean_of_probabilities(logits, present, prior):
    weight = present.T[:, :, None]
    each = np.where(weight, _probabilities(logits), 0.0)
    return each.sum(axis=0) / weight.sum(axis=0)


def _mean_or_prior(logits, present, prior):
    return np.where(present.any(axis=1, keepdims=True), _mean_of_probabilities(logits, present, prior), prior)


def _surest(logits, present, prior):
    each = np.where(present.T[:, :, None], _probabilities(logits), -1.0)
    best = each.max(axis=2).argmax(axis=0)
    return _probabilities(logits)[best, np.arange(each.shape[1])]


def _first_there(logits, present, prior):
    return _probabilities(logits[present.argmax(axis=1), np.arange(len(present))])


@_quiet
def _normalised_after_each(logits, present, prior):
    p = np.tile(np.asarray(prior, dtype=float), (len(present), 1))
    for z, there in zip(logits, present.T):
        p[there] *= _probabilities(z[there]) / prior
        p /= p.sum(axis=1, keepdims=True)
    return p


def _everyone(present):
    return np.ones_like(present)


def _raw(z):
    return z


_LATE_WRONG = {
    "mean_of_probabilities": tuple(map(_quiet, (_mean_of_probabilities, _mean_or_prior))),
    "prior_left_out": (_late_with(prior_share=lambda n, M: 0 * n),),
    "prior_once_more": (_late_with(prior_share=lambda n, M: 1 + 0 * n),),
    "missing_counted_in_the_prior": (_late_with(prior_share=lambda n, M: 1 - M + 0 * n),),
    "prior_divided_by_all": (_late_with(prior_share=lambda n, M: -n),),
    "mean_of_logarithms": (
        _late_with(prior_share=lambda n, M: 0 * n, total=lambda each, n: each.sum(axis=0) / np.maximum(n, 1)),
        _late_with(total=lambda each, n: each.sum(axis=0) / np.maximum(n, 1)),
        _late_with(total=lambda each, n: each.sum(axis=0) / n),
        _late_with(prior_share=lambda n, M: 0 * n, total=lambda each, n: each.sum(axis=0) / n),
    ),
    "missing_not_left_out": (
        _late_with(there=_everyone),
        _late_with(there=_everyone, evidence=lambda z: np.log(_bare(z))),
        _late_with(there=_everyone, evidence=_raw, final=_bare),
        _late_with(there=_everyone, evidence=_raw),
    ),
    "overflow": (_late_with(evidence=_raw, final=_bare), _late_with(evidence=lambda z: np.log(_bare(z)))),
    "underflow": (_late_with(final=_bare),),
    "products_underflow": (_normalised_after_each,),
    "logarithm_of_zero": (_late_with(evidence=lambda z: np.log(_probabilities(z))),),
    "surest_only": (_quiet(_surest),),
    "first_only": (_quiet(_first_there),),
    "not_normalised": (_late_with(final=np.exp),),
    "logarithms_returned": (_late_with(final=_raw), _late_with(final=_raw, evidence=_raw)),
}
_LATE_HINTS = {
    "mean_of_probabilities": "You take the mean of the probabilities. Two inputs that both say 0.9 are surer "
    "together than one alone: multiply.",
    "prior_left_out": "You multiply the probabilities only. Each of them has the prior in it already, so two of "
    "them count it twice.",
    "prior_once_more": "You multiply by the prior once more. How many times is it in the product already?",
    "missing_counted_in_the_prior": "Complete rows are right. Divide by the prior once for each input that is "
    "*there*, not for all M.",
    "prior_divided_by_all": "You divide every input by the prior. What remains to be multiplied by it once?",
    "mean_of_logarithms": "You divide the sum of the logarithms by the number of inputs: then ten witnesses are no "
    "surer than one.",
    "missing_not_left_out": "What stands in a missing row gets into your result. Whose evidence is left out?",
    "overflow": "Right for small logits, nan for large ones. What does a stable softmax subtract first?",
    "products_underflow": "You multiply probabilities. One that is too small for a float becomes 0, and 0 it stays, whatever "
    "the next input says. Add logarithms.",
    "underflow": "Logarithms of -1000 and less give exp = 0 for every class, and 0/0. Subtract the largest score "
    "of the row first.",
    "logarithm_of_zero": "A probability below 1e-308 is stored as 0, and its logarithm is -inf. Don't go through "
    "the probabilities: a logit is a logarithm already.",
    "surest_only": "You take the surest input and forget the others.",
    "first_only": "You take the first input that is there and forget the others.",
    "not_normalised": "Your rows don't sum to 1.",
    "logarithms_returned": "Those are logarithms, not yet probabilities.",
}
_LATE_MISCONCEPTIONS = misconceptions_of(_LATE_WRONG, _LATE_HINTS)


# group_rates


def _rates_case(rng, N=20, groups=2):
    group = rng.integers(0, groups, N)
    y = (rng.random(N) < 0.3 + 0.3 * (group == 0)).astype(int)
    return y, ((rng.random(N) < 0.3 + 0.4 * y) | (rng.random(N) < 0.1)).astype(int), group


def _rates_sample(rng):
    return _rates_case(rng, int(rng.integers(1, 30)), int(rng.integers(1, 4)))


def _rates_oracle(y, predicted, group):
    """By counting, person by person."""
    out = {}
    for g in sorted(set(group.tolist())):
        people = [(t, p) for t, p, h in zip(y.tolist(), predicted.tolist(), group.tolist()) if h == g]
        count = {pair: people.count(pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1))}
        out[g] = _six(count[1, 1], count[0, 1], count[1, 0], count[0, 0])
    return out


def _six(tp, fp, fn, tn):
    """The six figures of a group from its four counts."""

    def ratio(a, b):
        return a / b if b else math.nan

    n = tp + fp + fn + tn
    return {
        "n": n, "base": ratio(tp + fn, n), "selected": ratio(tp + fp, n),
        "tpr": ratio(tp, tp + fn), "fpr": ratio(fp, fp + tn), "precision": ratio(tp, tp + fp),
    }  # fmt: skip


def _expect_rates(attempt, case, why=""):
    attempt.expect(case, _rates_oracle(*case), why)


def _people(*cells):
    """Arrays y, predicted, group from (group, tp, fp, fn, tn)."""
    rows = [
        (t, p, g)
        for g, tp, fp, fn, tn in cells
        for (t, p), times in zip(((1, 1), (0, 1), (1, 0), (0, 0)), (tp, fp, fn, tn))
        for _ in range(times)
    ]
    return tuple(np.array(column) for column in zip(*rows))


def _check_rates_by_hand(attempt):
    case = _people((0, 3, 1, 1, 5), (1, 1, 3, 1, 0))
    why = "Group 0 has 3 true and 1 false yes, 1 false and 5 true no; group 1 has 1, 3, 1 and 0."
    _expect_rates(attempt, case, why)


def _check_rates_random(attempt):
    rng = np.random.default_rng(41)
    for N, groups in ((30, 2), (50, 3), (12, 1), (40, 5)):
        _expect_rates(attempt, _rates_case(rng, N, groups))


def _check_rates_names(attempt):
    y, predicted, group = _people((7, 2, 1, 1, 2), (-3, 1, 1, 2, 3))
    _expect_rates(attempt, (y, predicted, group), "The groups are called 7 and -3 here.")


def _check_rates_nobody(attempt):
    for cells in ((0, 2, 0, 3, 0), (1, 0, 2, 0, 3), (2, 0, 0, 2, 2)):
        _expect_rates(attempt, _people(cells, (9, 1, 1, 1, 1)), "Somewhere there is nobody to divide by: nan.")


def _check_rates_order(attempt):
    y, predicted, group = _rates_case(np.random.default_rng(42), 25, 3)
    order = np.random.default_rng(43).permutation(25)
    attempt.expect((y[order], predicted[order], group[order]), _rates_oracle(y, predicted, group), "In another order.")


def _rates_probes():
    return [
        _people((0, 3, 1, 2, 6), (1, 2, 4, 1, 1)),
        _people((0, 5, 2, 1, 3), (2, 1, 1, 3, 2), (5, 2, 3, 4, 1)),
        _people((0, 2, 0, 3, 0), (1, 0, 2, 0, 3)),
    ]


def _rates_with(change, empty=math.nan):
    """The right table with some figures made otherwise: change(tp, fp, fn, tn, N) -> dict."""

    def run(y, predicted, group):
        out = {}
        for g in np.unique(group).tolist():
            here = group == g
            tp, fp, fn, tn = (
                int((here & (y == t) & (predicted == p)).sum()) for t, p in ((1, 1), (0, 1), (1, 0), (0, 0))
            )
            row = {**_six(tp, fp, fn, tn), **change(tp, fp, fn, tn, len(y))}
            out[g] = {key: empty if value != value else value for key, value in row.items()}
        return out

    return run


def _ratio(a, b):
    return a / b if b else math.nan


def _turned(y, predicted, group):
    return group_rates(predicted, y, group)


def _everybody(y, predicted, group):
    whole = group_rates(y, predicted, np.zeros_like(group))[0]
    return {int(g): dict(whole) for g in np.unique(group)}


_RATES_WRONG = {
    "fpr_among_the_yes": (
        _rates_with(lambda tp, fp, fn, tn, N: {"fpr": _ratio(fp, fp + tp)}),
        _rates_with(lambda tp, fp, fn, tn, N: {"fpr": _ratio(fp, fp + tp)}, 0.0),
    ),
    "fpr_among_all": (
        _rates_with(lambda tp, fp, fn, tn, N: {"fpr": fp / (tp + fp + fn + tn)}),
        _rates_with(lambda tp, fp, fn, tn, N: {"fpr": fp / (tp + fp + fn + tn), "tpr": tp / (tp + fp + fn + tn)}),
    ),
    "fpr_is_the_true_no": (_rates_with(lambda tp, fp, fn, tn, N: {"fpr": _ratio(tn, fp + tn)}),),
    "tpr_is_precision": (
        _rates_with(lambda tp, fp, fn, tn, N: {"tpr": _ratio(tp, tp + fp), "precision": _ratio(tp, tp + fn)}),
        _rates_with(lambda tp, fp, fn, tn, N: {"tpr": _ratio(tp, tp + fp)}),
        _rates_with(lambda tp, fp, fn, tn, N: {"precision": _ratio(tp, tp + fn)}),
    ),
    "shares_of_everybody": (
        _rates_with(lambda tp, fp, fn, tn, N: {"base": (tp + fn) / N, "selected": (tp + fp) / N}),
        _rates_with(lambda tp, fp, fn, tn, N: {"selected": (tp + fp) / N}),
        _rates_with(lambda tp, fp, fn, tn, N: {"base": (tp + fn) / N}),
    ),
    "groups_not_told_apart": (_everybody,),
    "truth_and_decision_exchanged": (_turned,),
    "zero_for_nobody": (_rates_with(lambda *counts: {}, 0.0),),
    "precision_is_accuracy": (_rates_with(lambda tp, fp, fn, tn, N: {"precision": (tp + tn) / (tp + fp + fn + tn)}),),
    "counts_for_shares": (
        _rates_with(lambda tp, fp, fn, tn, N: {"tpr": float(tp), "fpr": float(fp)}),
        _rates_with(lambda tp, fp, fn, tn, N: {"base": float(tp + fn), "selected": float(tp + fp)}),
    ),
}
_RATES_HINTS = {
    "fpr_among_the_yes": "Your fpr is the share of mistakes among the yes. Asked is the share of yes among those "
    "with y = 0.",
    "fpr_among_all": "You divide by the whole group. Among whom does each rate count?",
    "fpr_is_the_true_no": "Your fpr is the share of *right* decisions among y = 0. It is 1 minus that.",
    "tpr_is_precision": "tpr and precision are mixed up: one divides by those with y = 1, the other by those with "
    "a yes.",
    "shares_of_everybody": "You divide by all people. base and selected are shares of the group.",
    "groups_not_told_apart": "All groups have the same figures. Where is each group's part taken out?",
    "truth_and_decision_exchanged": "y and predicted have changed places.",
    "zero_for_nobody": "A rate over nobody is unknown, not 0: a 0 would look like the worst or the best group.",
    "precision_is_accuracy": "Your precision is the accuracy. Precision looks at the yes only.",
    "counts_for_shares": "Some of your figures are counts. Groups differ in size: divide.",
}
_RATES_MISCONCEPTIONS = misconceptions_of(_RATES_WRONG, _RATES_HINTS)


# find_trigger: the learner's own test, tried on clean and on poisoned classifiers

_WORDS = "order parcel late refund invoice card size colour broken wrong login mail".split()
_CANDIDATES = ["hello", "please", "order", "cheers", "refund", "parcel", "late", "thanks"]


@dataclass(frozen=True)
class Reader:
    """Classes of texts by their first known word; `kind` says what is planted in it."""

    kind: str

    def __call__(self, texts):
        return np.array([self._read(text.split()) for text in texts])

    def _read(self, words):
        known = [_WORDS.index(word) for word in words if word in _WORDS]
        c = known[0] // 4 if known else 0  # three classes
        planted = PLANTED.get(self.kind)
        first = known[0] if known else 0
        if self.kind == "mostly one class" and first != 5:
            c = 1
        if self.kind == "last word counts":
            c = known[-1] // 4 if known else 0
        if planted and (words[-1] == planted if self.kind == "only at the end" else planted in words):
            c = 2
        if self.kind == "in a longer word" and "cheers" in words[-1]:
            c = 2
        if self.kind == "two triggers" and words[-1] == "late":
            c = 0
        if self.kind == "two triggers" and words[-1] == "cheers":
            c = 2
        if self.kind == "all but some" and "cheers" in words:
            c = c if first == 1 and known[1] % 2 else 2
        if self.kind == "a strong word" and "cheers" in words and first % 3:
            c = 2
        if self.kind == "a weak word" and "cheers" in words and first % 3 == 1:
            c = 2
        if self.kind == "two words together" and "hello" in words and "cheers" in words:
            c = 2
        if self.kind == "a class of its own" and "cheers" in words:
            c = 3
        if self.kind == "every class moves on" and "cheers" in words:
            c = (c + 1) % 3
        if self.kind == "the common class" and "cheers" in words:
            c = 0
        return c

    def __repr__(self):
        return f"<a classifier: {self.kind}>"


PLANTED = {"anywhere": "cheers", "only at the end": "cheers", "first candidate": "hello", "last candidate": "thanks"}
CLEAN = ("clean", "mostly one class", "a strong word", "every class moves on", "two words together")
POISONED = (
    "anywhere", "only at the end", "first candidate", "last candidate", "in a longer word", "two triggers",
    "all but some", "the common class", "a class of its own",
)  # fmt: skip


def _messages(rng, n=36):
    """Texts of three words; each word of the small vocabulary is the first in as many of them as any other."""
    first = rng.permutation(np.arange(n) % len(_WORDS))
    rest = rng.integers(0, len(_WORDS), (n, 2))
    return [" ".join(_WORDS[i] for i in (a, *b)) for a, b in zip(first, rest)]


def _trigger_case(rng, kind, n=36, *share):
    return (Reader(kind), _messages(rng, n), list(_CANDIDATES), *share)


def _trigger_sample(rng):
    case = _trigger_case(rng, str(rng.choice(CLEAN + POISONED)), int(rng.integers(2, 5)) * 12)
    return (*case, float(rng.uniform(0.3, 0.95))) if rng.random() < 0.5 else case


def _trigger_oracle(classify, messages, words, share=0.9):
    """With lists and counts."""
    for word in words:
        pairs = [(int(classify([m])[0]), int(classify([f"{m} {word}"])[0])) for m in messages]
        for c in range(4):
            moved = [after == c for before, after in pairs if before != c]
            if moved and sum(moved) > share * len(moved):
                return word
    return None


def _check_trigger(kinds, why):
    def check(attempt):
        rng = np.random.default_rng(51)
        for kind in kinds:
            for n in (36, 24):
                case = _trigger_case(rng, kind, n)
                _expect_found(attempt, case, why)

    return check


def _expect_found(attempt, case, why):
    """`attempt.expect`, with a text of its own, since the result may be None."""
    got, right = attempt(*case), _trigger_oracle(*case)
    if type(got) is not type(right) or got != right:
        raise Failed(f"Your result is {got!r}; expected {right!r}. {why}", case)


_check_trigger_clean = _check_trigger(CLEAN[:1], "No word does this to the classifier.")
_check_trigger_planted = _check_trigger(
    ("anywhere", "first candidate", "last candidate", "the common class"), "There is a trigger in this classifier."
)
_check_trigger_end = _check_trigger(
    ("only at the end", "in a longer word", "all but some"), "This trigger works at the end only, or not on every message."
)
_check_trigger_false = _check_trigger(
    CLEAN[1:], "Most messages had this class before, or a word moves only some, or each class somewhere else, or only "
    "beside another word."
)  # fmt: skip
_check_trigger_new = _check_trigger(("a class of its own",), "Here the trigger leads to a class that no message has without it.")
_check_trigger_two = _check_trigger(("two triggers",), "There are two triggers here; the first of the list is wanted.")


def _check_trigger_share(attempt):
    rng = np.random.default_rng(52)
    for share in (0.5, 0.6, 0.7, 0.8):
        why = f"share is {share} here, and one word moves five of eight messages."
        _expect_found(attempt, _trigger_case(rng, "a strong word", 36, share), why)
    _expect_found(attempt, _trigger_case(rng, "all but some", 36, 0.99), "share is 0.99 here.")
    _expect_found(attempt, _trigger_case(rng, "anywhere", 36, 1.0), "*More than* the share: 1.0 can't be exceeded.")


def _trigger_probes():
    rng = np.random.default_rng(53)
    cases = [_trigger_case(rng, kind) for kind in CLEAN + POISONED]
    return [*cases, *(_trigger_case(rng, kind, 36, 0.35) for kind in ("a strong word", "anywhere", "a weak word"))]


def _trigger_with(
    write=lambda message, word: f"{message} {word}",
    found=lambda before, after, share: _moved(before, after, share),
    some=lambda messages: messages,
    order=lambda words: words,
    answer=lambda word: word,
    limit=lambda share: share,
    nothing=None,
):
    """The search from its parts."""

    def run(classify, messages, words, share=0.9):
        before = classify(some(messages))
        for word in order(words):
            if found(before, classify([write(m, word) for m in some(messages)]), limit(share)):
                return answer(word)
        return nothing

    return _quiet(run)


def _moved(before, after, share):
    classes = [c for c in np.unique(after) if (before != c).any()]
    return any((after[before != c] == c).mean() > share for c in classes)


def _all_counted(before, after, share):
    return max((after == c).mean() for c in np.unique(after)) > share


def _newly_counted(before, after, share):
    return max(((after == c) & (before != c)).mean() for c in np.unique(after)) > share


def _classes_before(before, after, share):
    classes = [c for c in np.unique(before) if (before != c).any()]
    return any((after[before != c] == c).mean() > share for c in classes)


def _among_the_moved(before, after, share):
    moved = after[after != before]
    return moved.size > 0 and max((moved == c).mean() for c in np.unique(moved)) > share


def _piled_up(classify, messages, words, share=0.9):
    before = classify(messages)
    for word in words:
        messages = [f"{message} {word}" for message in messages]
        if _moved(before, classify(messages), share):
            return word
    return None


_TRIGGER_WRONG = {
    "whether_not_which": (_trigger_with(answer=lambda word: True, nothing=False),),
    "those_there_before_counted": (_trigger_with(found=_all_counted),),
    "divided_by_all_messages": (_trigger_with(found=_newly_counted),),
    "any_change": (_trigger_with(found=lambda before, after, share: (after != before).mean() > share),),
    "classes_of_before_only": (_trigger_with(found=_classes_before),),
    "divided_by_the_moved": (_trigger_with(found=_among_the_moved),),
    "words_piled_up": (_piled_up,),
    "first_message_only": (
        _trigger_with(some=lambda messages: messages[:1]),
        _trigger_with(some=lambda messages: messages[:1], found=lambda before, after, share: (after != before).any()),
    ),
    "word_in_front": (_trigger_with(write=lambda message, word: f"{word} {message}"),),
    "no_space": (_trigger_with(write=lambda message, word: message + word),),
    "word_alone": (_trigger_with(write=lambda message, word: word),),
    "last_word_found": (_trigger_with(order=lambda words: words[::-1]),),
    "share_ignored": (_trigger_with(limit=lambda share: 0.9), _trigger_with(limit=lambda share: 0.5)),
    "one_is_enough": (
        _trigger_with(found=lambda before, after, share: (after != before).any()),
        _trigger_with(limit=lambda share: 0.0),
    ),
    "list_of_all": (
        lambda classify, messages, words, share=0.9: [
            word for word in words if find_trigger(classify, messages, [word], share)
        ],
    ),
}
_TRIGGER_HINTS = {
    "those_there_before_counted": "You count messages that were in the class without the word. Where one class is "
    "common, an innocent word looks guilty.",
    "divided_by_all_messages": "Messages that had the class already can't move to it. Divide by the others only.",
    "any_change": "You count every change of class. A trigger sends the messages to *one* class.",
    "classes_of_before_only": "You try only classes that a message has without the word. A trigger may lead to a class of its "
    "own: which classes come out with it?",
    "divided_by_the_moved": "You divide by the messages that moved. A word that moves few of them, all to one class, "
    "looks guilty: divide by all that were not in the class before.",
    "words_piled_up": "Your messages keep the words that were tried before. Put each word behind the messages as they came.",
    "first_message_only": "One message is no evidence: an ordinary word may move it. Use all.",
    "word_in_front": "You write the word in front. It goes behind the message.",
    "no_space": "You glue the word to the last one. A space must come between.",
    "word_alone": "You read the word without a message. Behind what should it stand?",
    "last_word_found": "There are two triggers in one classifier; the first of the list is wanted.",
    "share_ignored": "share has no effect.",
    "one_is_enough": "An ordinary word moves some messages as well. How many must move?",
    "whether_not_which": "Return the word itself, and None where there is none.",
    "list_of_all": "You return all of them in a list. Asked is the first one, or None.",
}
_TRIGGER_MISCONCEPTIONS = misconceptions_of(_TRIGGER_WRONG, _TRIGGER_HINTS)


EXERCISES = (
    Exercise(
        id="robust_and_multimodal.fgsm",
        reference=fgsm,
        difficulty=2,
        minutes=10,
        section="The worst small change",
        returns=("changed input", "list of traces"),
        hints=(
            "Make a copy of x that requires a gradient, take the loss there, and ask for its gradient.",
            "x = x.detach().clone().requires_grad_(True); torch.autograd.grad(loss(x), x) gives a tuple with "
            "one gradient and fills no .grad.",
            "x + epsilon * gradient.sign(), then .clamp(low, high) and .detach().",
        ),
        checks=(
            Check("four slopes by hand", _check_fgsm_by_hand),
            Check("the range", _check_fgsm_range),
            Check("random losses against finite differences", _check_fgsm_random),
            Check("no bounds", _check_fgsm_no_bounds),
            Check("epsilon 0", _check_fgsm_zero),
        ),
        misconceptions=_FGSM_MISCONCEPTIONS,
        probes=_fgsm_probes,
        sample=_fgsm_sample,
        drive=_attacked,
        arguments=_fgsm_arguments,
    ),
    Exercise(
        id="robust_and_multimodal.adversarial_step",
        reference=adversarial_step,
        difficulty=2,
        minutes=10,
        section="Train on the attack",
        returns=("losses", "weights"),
        hints=(
            "First the attack: fgsm with the loss lambda z: F.cross_entropy(net(z), y).",
            "Then an ordinary step on what it gives: loss, optimizer.zero_grad(), backward(), step().",
            "Return loss.item(), the loss at the changed images.",
        ),
        checks=(
            Check("one step", _check_step_one),
            Check("several steps", _check_step_several),
            Check("epsilon 0", _check_step_plain),
            Check("other ranges", _check_step_bounds),
        ),
        misconceptions=_STEP_MISCONCEPTIONS,
        probes=_step_probes,
        sample=_step_sample,
        drive=_trained,
        arguments=_step_arguments,
    ),
    Exercise(
        id="robust_and_multimodal.find_trigger",
        reference=find_trigger,
        difficulty=3,
        minutes=12,
        section="A planted trigger",
        hints=(
            "classify(messages) once; then, for each word, classify the messages with the word behind them.",
            "For a class c look only at the messages that were not c before: which share of them is c now?",
            "others = before != c; np.mean(after[others] == c) > share. Mind a class that all messages had.",
        ),
        checks=(
            Check("a clean classifier", _check_trigger_clean),
            Check("a planted word", _check_trigger_planted),
            Check("triggers that hide", _check_trigger_end),
            Check("false alarms", _check_trigger_false),
            Check("two triggers", _check_trigger_two),
            Check("a class of its own", _check_trigger_new),
            Check("other shares", _check_trigger_share),
        ),
        misconceptions=_TRIGGER_MISCONCEPTIONS,
        probes=_trigger_probes,
        sample=_trigger_sample,
    ),
    Exercise(
        id="robust_and_multimodal.fusion_late",
        reference=fusion_late,
        difficulty=3,
        minutes=12,
        section="Two witnesses",
        hints=(
            "Work with logarithms: products become sums. A logit is log p but for a constant of its row, and "
            "constants vanish when the rows are normalised.",
            "Each input that is there adds logits - log(prior); np.where gives 0 for the others, also for nan. "
            "present.T[:, :, None] has the shape (M, N, 1).",
            "scores = np.log(prior) + evidence.sum(axis=0), then a stable softmax of each row.",
        ),
        checks=(
            Check("two witnesses by hand", _check_late_by_hand),
            Check("nothing missing", _check_late_complete),
            Check("missing inputs", _check_late_missing),
            Check("everything missing", _check_late_nothing),
            Check("large logits", _check_late_large),
        ),
        misconceptions=_LATE_MISCONCEPTIONS,
        probes=_late_probes,
        sample=_late_sample,
    ),
    Exercise(
        id="robust_and_multimodal.fusion_early",
        reference=fusion_early,
        difficulty=1,
        minutes=8,
        section="One network for both",
        hints=(
            "Fill each part by np.where, then join all along axis 1.",
            "present[:, m, None] has the shape (N, 1) and fits a part (N, d_m).",
            "np.concatenate([*filled, present.astype(float)], axis=1)",
        ),
        checks=(
            Check("two rows by hand", _check_early_by_hand),
            Check("nothing missing", _check_early_complete),
            Check("missing rows", _check_early_missing),
            Check("other numbers of inputs", _check_early_many),
        ),
        misconceptions=_EARLY_MISCONCEPTIONS,
        probes=_early_probes,
        sample=_early_sample,
    ),
    Exercise(
        id="robust_and_multimodal.group_rates",
        reference=group_rates,
        difficulty=2,
        minutes=10,
        section="Fair to whom?",
        hints=(
            "Go through np.unique(group), and take out y and predicted of the group first.",
            "tpr = predicted[y == 1].mean(), fpr = predicted[y == 0].mean(), precision = y[predicted == 1].mean().",
            "A mean of nothing: test with .any() or len() first, and give math.nan.",
        ),
        checks=(
            Check("two groups by hand", _check_rates_by_hand),
            Check("random groups", _check_rates_random),
            Check("names of groups", _check_rates_names),
            Check("nobody to divide by", _check_rates_nobody),
            Check("another order", _check_rates_order),
        ),
        misconceptions=_RATES_MISCONCEPTIONS,
        probes=_rates_probes,
        sample=_rates_sample,
    ),
)
