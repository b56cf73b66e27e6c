"""Exercises of lesson 16."""

from __future__ import annotations

import re

import numpy as np

from .engine.compare import type_name
from .engine.model import Check, Exercise, Failed, misconceptions_of


def mask_tokens(x, u, r, words, mask_id, n_special, rate=0.15):
    """Hide some tokens, and say which.

    x: int64 tensor of tokens, any shape; those below n_special are special and never chosen
    u, r: uniform random numbers in [0, 1), same shape: chosen where u < rate; a chosen token becomes
        mask_id where r < 0.8, the token from words where 0.8 <= r < 0.9, else it stays
    words: int64 tensor of random tokens, same shape
    -> inputs, labels: int64 tensors, same shape; labels is -100 where nothing was chosen
    """
    chosen = (x >= n_special) & (u < rate)
    hidden = x.masked_fill(r < 0.8, mask_id)
    swapped = words.where((r >= 0.8) & (r < 0.9), hidden)
    return swapped.where(chosen, x), x.masked_fill(~chosen, -100)


def pool(h, real):
    """The mean vector of each text, over its real tokens only.

    h (B, T, d_model): float tensor; real (B, T): bool tensor, False where there is padding
    -> (B, d_model); a text without any real token gets zeros
    """
    weights = real[..., None].to(h.dtype)  # (B, T, 1)
    return (h * weights).sum(1) / weights.sum(1).clamp(min=1)


def freeze_except(model, names):
    """Let only some parameters train (requires_grad) -> how many numbers are trained now (int).

    model: torch.nn.Module; names: list of str, each one or several whole parts of a parameter's
        dotted name: "head" matches "head.bias" but not "header.bias"; "layer.1" not "layer.10.bias"
    """
    trained = 0
    for path, p in model.named_parameters():
        p.requires_grad = any(f".{name}." in f".{path}." for name in names)
        trained += p.numel() * p.requires_grad
    return trained


def learning_curve_point(x, y, x_test, y_test, n, fit, seeds):
    """Accuracy on unseen texts after training on n labelled ones: mean and spread over several draws.

    x, x_test: texts, indexed by rows; y, y_test: int arrays of classes; n: labels in all
    fit: fit(x_few, y_few, seed) trains and returns predict; predict(x_test) -> classes
    seeds: for each a draw of its own: rng = np.random.default_rng(seed), and of each class in y, in
        rising order, the first n // n_classes of rng.permutation(np.flatnonzero(y == c))
    -> mean, spread: floats, the mean and np.std of the accuracies on all of x_test
    """
    classes, accuracies = np.unique(y), []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        drawn = [rng.permutation(np.flatnonzero(y == c))[: n // len(classes)] for c in classes]
        rows = np.concatenate(drawn)
        predict = fit(x[rows], y[rows], seed)
        accuracies.append(np.mean(predict(x_test) == y_test))
    return float(np.mean(accuracies)), float(np.std(accuracies))


def measures_memory(experiment, n):
    """Whether an experiment reports memory: an accuracy that it can't have on unseen texts.

    experiment: experiment(y, seed) runs all of it, split, training and measuring, with the labels
        y, an int array (n,) of 0 and 1, one for each of its n texts -> the accuracy that it reports
    n: number of its texts, 1000 or more
    -> bool: True if part of what it reports is memory (it may be a third of the test texts only),
       False for an honest one, which on random labels may miss 0.5 by a few hundredths
    """
    rng = np.random.default_rng(0)
    accuracies = [experiment(rng.integers(2, size=n), seed) for seed in range(5)]
    return bool(np.mean(accuracies) > 0.6)


# What all share


# mask_tokens


def _mask_case(rng, shape=(3, 8), n_special=4, mask_id=3, rate=0.5):
    import torch

    x = rng.integers(n_special, n_special + 40, size=shape)
    special = rng.random(shape) < 0.3
    x[special] = rng.integers(n_special, size=special.sum())
    u, r = rng.random((2, *shape))
    words = rng.integers(n_special + 40, n_special + 80, size=shape)
    x, u, r, words = (torch.tensor(it) for it in (x, u, r, words))
    return (x, u, r, words, mask_id, n_special) + (() if rate is None else (rate,))


def _mask_sample(rng):
    shape = [(7,), (2, 9), (4, 5), (2, 3, 6)][rng.integers(4)]
    n_special = int(rng.integers(2, 6))
    rate = [None, 0.3, 0.6, 1.0][rng.integers(4)]
    return _mask_case(rng, shape, n_special, int(rng.integers(n_special)), rate)


def _mask_oracle(x, u, r, words, mask_id, n_special, rate=0.15):
    """Token by token."""
    import torch

    inputs, labels = x.clone(), torch.full_like(x, -100)
    for place in np.ndindex(tuple(x.shape)):
        if int(x[place]) < n_special or float(u[place]) >= rate:
            continue
        labels[place] = x[place]
        if float(r[place]) < 0.8:
            inputs[place] = mask_id
        elif float(r[place]) < 0.9:
            inputs[place] = words[place]
    return inputs, labels


def _expect_masked(attempt, case, why=""):
    attempt.expect(case, _mask_oracle(*case), why)


def _check_mask_by_hand(attempt):
    import torch

    x = torch.tensor([[2, 13, 27, 41, 19]])
    u = torch.tensor([[0.01, 0.10, 0.70, 0.04, 0.14]])
    r = torch.tensor([[0.30, 0.50, 0.20, 0.85, 0.95]])
    words = torch.tensor([[50, 51, 52, 53, 54]])
    expected = torch.tensor([[2, 3, 27, 53, 19]]), torch.tensor([[-100, 13, -100, 41, 19]])
    attempt.expect((x, u, r, words, 3, 4), expected, "These are the u and r of the table.")


def _check_mask_random(attempt):
    rng = np.random.default_rng(1)
    for shape in ((3, 8), (1, 20), (2, 3, 7), (9,)):
        _expect_masked(attempt, _mask_case(rng, shape))
    _expect_masked(attempt, _mask_case(rng, (6, 30), rate=None), "No rate is given: 0.15.")


def _check_mask_special(attempt):
    rng = np.random.default_rng(2)
    for n_special, mask_id in ((1, 0), (7, 2)):
        case = _mask_case(rng, (3, 9), n_special, mask_id, 1.0)
        _expect_masked(attempt, case, f"Tokens below {n_special} are special; all others are chosen.")


def _check_mask_edges(attempt):
    import torch

    x = torch.tensor([5, 4, 6, 7, 8, 9])
    u = torch.tensor([0.25, 0.0, 0.0, 0.0, 0.0, 0.5], dtype=torch.float64)
    r = torch.tensor([0.0, 0.8, 0.9, 0.75, 0.875, 0.0], dtype=torch.float64)
    case = (x, u, r, x + 90, 1, 4, 0.25)
    _expect_masked(attempt, case, "u at the rate, r at 0.8 and at 0.9.")
    _expect_masked(attempt, (*case[:-1], 0.0), "At rate 0 nothing is chosen.")


def _mask_probes():
    rng = np.random.default_rng(3)
    return [_mask_case(rng, (4, 12)), _mask_case(rng, (3, 15), 3, 1, 0.7)]


def _mask_with(
    choose=lambda x, u, n_special, rate: (x >= n_special) & (u < rate),
    share=lambda u, r, rate: r,
    bounds=(0.8, 0.8, 0.9),
    labels=lambda x, inputs, chosen, r: x.where(chosen, x * 0 - 100),
    swap_all=False,
):
    """A mask_tokens with some of its decisions taken otherwise: hidden below bounds[0] of the share,
    another word between bounds[1] and bounds[2]."""

    def wrong(x, u, r, words, mask_id, n_special, rate=0.15):
        chosen, part = choose(x, u, n_special, rate), share(u, r, rate)
        decided = (x >= n_special) if swap_all else chosen
        inputs = x.clone()
        inputs[decided & (part < bounds[0])] = mask_id
        swapped = decided & (part >= bounds[1]) & (part < bounds[2])
        inputs[swapped] = words[swapped]
        return inputs, labels(x, inputs, chosen, r)

    return wrong


_MASK_WRONG = {
    "special_tokens_chosen": [_mask_with(choose=lambda x, u, n, rate: u < rate)],
    "always_hidden": [_mask_with(bounds=(1.0, 1.0, 1.0))],
    "labels_everywhere": [_mask_with(labels=lambda x, i, c, r: x.clone())],
    "labels_only_where_changed": [
        _mask_with(labels=lambda x, i, c, r: x.where(i != x, x * 0 - 100)),
        _mask_with(labels=lambda x, i, c, r: x.where(c & (r < 0.8), x * 0 - 100)),
    ],
    "labels_are_the_inputs": [_mask_with(labels=lambda x, i, c, r: i.where(c, x * 0 - 100))],
    "zero_in_place_of_ignore": [_mask_with(labels=lambda x, i, c, r: x.where(c, x * 0))],
    "one_random_number_for_both": [_mask_with(share=lambda u, r, rate: u / rate)],
    "kept_and_random_exchanged": [_mask_with(bounds=(0.8, 0.9, 1.0))],
    "never_kept": [_mask_with(bounds=(0.8, 0.8, 1.0)), _mask_with(bounds=(0.9, 0.9, 1.0))],
    "words_over_the_masks": [_mask_with(bounds=(0.0, 0.0, 0.9))],
    "never_random": [_mask_with(bounds=(0.8, 1.0, 1.0)), _mask_with(bounds=(0.9, 1.0, 1.0))],
    "most_are_chosen": [_mask_with(choose=lambda x, u, n, rate: (x >= n) & (u >= rate))],
    "shares_of_all_tokens": [_mask_with(swap_all=True)],
}
_MASK_HINTS = {
    "special_tokens_chosen": "You also hide special tokens. Nobody can learn to guess padding: which tokens are "
    "below n_special?",
    "always_hidden": "All chosen tokens become mask_id. What decides that some become another word, and some stay?",
    "labels_everywhere": "Your labels hold every token, so the loss also counts words that stand in full view. "
    "Which label is not counted?",
    "labels_only_where_changed": "A chosen token that stays as it is, or becomes another word, is to be guessed "
    "too: otherwise the model learns that what it sees is always right. Which places have a label?",
    "labels_are_the_inputs": "Your labels are taken from the spoilt text. What is to be guessed stood there before.",
    "zero_in_place_of_ignore": "Your labels are 0 where nothing was chosen, and 0 is a token. Which number does "
    "cross_entropy leave out?",
    "one_random_number_for_both": "You use u for both decisions. u chooses; what happens is up to r.",
    "kept_and_random_exchanged": "Between 0.8 and 0.9 comes another word, from 0.9 on the token stays. You have it "
    "the other way round.",
    "never_kept": "None of your chosen tokens stays as it is. What happens from r = 0.9 on?",
    "words_over_the_masks": "Your other words also come where mask_id belongs: r < 0.9 holds for r < 0.8 as well. Which are "
    "between the two?",
    "never_random": "No chosen token becomes another word. What are the `words` for?",
    "most_are_chosen": "You choose where u is *at least* the rate: 85 % of the words are gone.",
    "shares_of_all_tokens": "Your labels are right, but you spoil tokens that weren't chosen. r decides about "
    "chosen tokens only.",
}
_MASK_MISCONCEPTIONS = misconceptions_of(_MASK_WRONG, _MASK_HINTS)


# pool


def _pool_case(rng, B=3, T=5, d=4, empty=False, prefix=True, dtype="float64"):
    import torch

    lengths = rng.integers(1, T + 1, size=B)
    real = np.arange(T) < lengths[:, None] if prefix else rng.random((B, T)) < 0.6
    real[:, 0] |= prefix
    if empty:
        real[B // 2] = False
    return torch.tensor(rng.normal(size=(B, T, d)), dtype=getattr(torch, dtype)), torch.tensor(real)


def _pool_sample(rng):
    B, T, d = (int(it) for it in rng.integers(1, 6, size=3))
    return _pool_case(rng, B, T, d, empty=rng.random() < 0.3, prefix=rng.random() < 0.5)


def _pool_oracle(h, real):
    """Token by token."""
    import torch

    out = torch.zeros((h.shape[0], h.shape[2]), dtype=h.dtype)
    for b in range(h.shape[0]):
        kept = [h[b, t] for t in range(h.shape[1]) if bool(real[b, t])]
        for vector in kept:
            out[b] += vector / len(kept)
    return out


def _check_pool_by_hand(attempt):
    import torch

    h = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [100.0, 100.0]]])
    real = torch.tensor([[True, True, False]])
    attempt.expect((h, real), torch.tensor([[2.0, 2.0]]), "Two words and one padding: the mean of the two.")


def _check_pool_random(attempt):
    rng = np.random.default_rng(4)
    for sizes in ((3, 5, 4), (1, 7, 2), (4, 1, 3), (2, 6, 1), (5, 5, 5)):
        for dtype in ("float32", "float64"):
            case = _pool_case(rng, *sizes, dtype=dtype)
            attempt.expect(case, _pool_oracle(*case))


def _check_pool_anywhere(attempt):
    rng = np.random.default_rng(5)
    for _ in range(4):
        case = _pool_case(rng, 4, 6, 3, prefix=False)
        attempt.expect(case, _pool_oracle(*case), "The words that count may stand anywhere.")


def _check_pool_empty(attempt):
    rng = np.random.default_rng(6)
    case = _pool_case(rng, 3, 4, 2, empty=True)
    attempt.expect(case, _pool_oracle(*case), "The second text has no real token.")


def _check_pool_longer(attempt):
    import torch

    h, real = _pool_case(np.random.default_rng(7), 3, 4, 2)
    expected = _pool_oracle(h, real)
    h = torch.cat([h, torch.full((3, 2, 2), 9.0, dtype=h.dtype)], dim=1)
    real = torch.cat([real, torch.zeros((3, 2), dtype=torch.bool)], dim=1)
    attempt.expect((h, real), expected, "Two more places of padding change nothing.")


def _check_pool_gradient(attempt):
    def gradient(work, h, real):
        h = h.detach().requires_grad_()
        pooled = work(h, real)
        if not getattr(pooled, "requires_grad", False):
            raise Failed("Your result has no gradient. Stay with torch operations; no .item() or .detach().")
        pooled.square().sum().backward()
        return h.grad

    case = _pool_case(np.random.default_rng(8), 3, 5, 2)
    attempt.expect(case, gradient(_pool_oracle, *case), "This is a gradient through your pool.", drive=gradient)


def _pool_probes():
    rng = np.random.default_rng(9)
    return [_pool_case(rng, 4, 6, 3), _pool_case(rng, 3, 5, 4, empty=True), _pool_case(rng, 4, 5, 5, prefix=False)]


def _weighted(h, real):
    return h * real[..., None]


def _last_real(h, real):
    import torch

    last = (torch.arange(h.shape[1]) * real).argmax(1)
    return h[torch.arange(len(h)), last]


_POOL_WRONG = {
    "padding_counted": [lambda h, real: h.mean(1)],
    "divided_by_the_length_of_the_row": [lambda h, real: _weighted(h, real).mean(1)],
    "padding_in_the_sum": [lambda h, real: h.sum(1) / real.sum(1, keepdim=True).clamp(min=1)],
    "sum": [lambda h, real: _weighted(h, real).sum(1)],
    "first_token": [lambda h, real: h[:, 0]],
    "last_token": [lambda h, real: h[:, -1], _last_real],
    "maximum": [
        lambda h, real: h.masked_fill(~real[..., None], float("-inf")).amax(1),
        lambda h, real: _weighted(h, real).amax(1),
        lambda h, real: h.amax(1),
    ],
    "one_count_for_all_texts": [
        lambda h, real: _weighted(h, real).sum(1) / real.sum(),
        lambda h, real: _weighted(h, real).sum(1) * len(h) / real.sum(),
    ],
    "only_the_padding": [
        lambda h, real: _weighted(h, ~real).sum(1) / (~real).sum(1, keepdim=True).clamp(min=1),
        lambda h, real: _weighted(h, ~real).sum(1) / (~real).sum(1, keepdim=True),
    ],
    "empty_text_is_nan": [lambda h, real: _weighted(h, real).sum(1) / real.sum(1, keepdim=True)],
    "one_too_many": [lambda h, real: _weighted(h, real).sum(1) / (real.sum(1, keepdim=True) + 1)],
}
_POOL_HINTS = {
    "padding_counted": "The mean runs over padding too, so the same text gets another vector in a longer batch. "
    "How many of the T places are real?",
    "divided_by_the_length_of_the_row": "The padding is out of the sum but still in the count: you divide by T.",
    "padding_in_the_sum": "You divide by the number of real tokens, but the sum holds the padding's vectors as well.",
    "sum": "That is the sum: a text twice as long would get a vector twice as long.",
    "first_token": "That is the vector of the first token. Wanted is the mean over all real ones.",
    "last_token": "That is the vector of one token, the last. Wanted is the mean over all real ones.",
    "maximum": "That is the largest value of each feature. Wanted is the mean.",
    "one_count_for_all_texts": "You divide all texts by one number. Each text has its own count: which axis must "
    "`sum` be told?",
    "only_the_padding": "You average exactly the padding. True means: a real token.",
    "empty_text_is_nan": "All is right but for a text without any real token: 0/0 is nan. Divide by at least 1.",
    "one_too_many": "You divide by one more than the number of real tokens. To keep 0 away, divide by at least 1 "
    "instead (clamp).",
}
_POOL_MISCONCEPTIONS = misconceptions_of(_POOL_WRONG, _POOL_HINTS)


# freeze_except


def small_model(seed):
    """A model whose names invite mistakes; the seed decides what is frozen at first."""
    from torch import nn

    def block(width):
        adapter = nn.Linear(width, 1, bias=False)
        return nn.ModuleDict({
            "attention": nn.Linear(2, width),
            "adapter": nn.Sequential(nn.GELU(), adapter) if width == 1 else adapter,  # layer.0.adapter.1.weight
        })

    model = nn.ModuleDict({
        "encoder": nn.ModuleDict({"layer": nn.ModuleList(block(i + 1) for i in range(12)), "norm": nn.LayerNorm(3)}),
        "header": nn.Linear(3, 5),
        "head": nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)),
        "adapters_of_old": nn.Linear(1, 7),
        "layer_1": nn.Linear(1, 2),
        "norm": nn.BatchNorm1d(2),
    })
    frozen = np.random.default_rng(seed).random(100) < 0.4
    for p, off in zip(model.parameters(), frozen):
        p.requires_grad = not off
    return model


def frozen_by(work, seed, names):
    """What a learner's function does with a model: [its result, name -> is trained]."""
    model = small_model(seed)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = work(model, list(names))
    if {name: tuple(value.shape) for name, value in model.state_dict().items()} != {
        name: tuple(value.shape) for name, value in before.items()
    } or any(not bool((value == before[name]).all()) for name, value in model.state_dict().items()):
        raise Failed("Your code changed the model's numbers. Only requires_grad may change.")
    return [result, {name: p.requires_grad for name, p in model.named_parameters()}]


_NAMES = ("head", "adapter", "layer.1", "norm", "encoder", "bias", "head.1", "encoder.layer.11.adapter", "header")


def _freeze_sample(rng):
    names = rng.choice(_NAMES, size=int(rng.integers(1, 4)), replace=False)
    return int(rng.integers(100)), tuple(map(str, names))


def _freeze_oracle(seed, names):
    """Part by part."""
    model, trained, flags = small_model(seed), 0, {}
    for path, p in model.named_parameters():
        parts, flags[path] = path.split("."), False
        for name in names:
            wanted = name.split(".")
            places = range(len(parts) - len(wanted) + 1)
            if any(parts[i : i + len(wanted)] == wanted for i in places):
                flags[path] = True
        trained += int(np.prod(p.shape)) if flags[path] else 0
    return [trained, flags]


def _check_freeze(*cases, why=""):
    def check(attempt):
        for case in cases:
            attempt.expect(case, _freeze_oracle(*case), why)

    return check


def _check_freeze_random(attempt):
    rng = np.random.default_rng(10)
    for _ in range(12):
        case = _freeze_sample(rng)
        attempt.expect(case, _freeze_oracle(*case))


def _freeze_probes():
    cases = [("head",), ("layer.1", "adapter"), ("norm", "head.1", "layer.1"), ("encoder", "bias"), ("head", "adapter")]
    return list(enumerate(cases, start=1))


def _part_of(name, path):
    return f".{name}." in f".{path}."


def _freeze_with(match=_part_of, over=any, flag=lambda p, matched: matched, count=lambda p: p.numel(), counted=lambda on: on):
    """A freeze_except with some of its decisions taken otherwise."""

    def wrong(model, names):
        total = 0
        for path, p in model.named_parameters():
            p.requires_grad = flag(p, over(match(name, path) for name in names))
            total += count(p) if counted(p.requires_grad) else 0
        return total

    return wrong


def _last_name_wins(model, names):
    for name in names:
        trained = _freeze_with()(model, [name])
    return trained


def _counted_twice(model, names):
    _freeze_with()(model, names)
    return sum(p.numel() for name in names for path, p in model.named_parameters() if _part_of(name, path))


def _eval_mode(model, names):
    for path, module in model.named_modules():
        module.train(any(_part_of(name, path) for name in names))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _as_pattern(name, path):
    return bool(re.search(rf"(^|\.){name}(\.|$)", path))


_FREEZE_WRONG = {
    "any_part_of_the_text": [_freeze_with(match=lambda name, path: name in path)],
    "parts_not_side_by_side": [
        _freeze_with(match=lambda name, path: all(part in path.split(".") for part in name.split("."))),
    ],
    "dot_means_anything": [_freeze_with(match=_as_pattern)],
    "only_at_the_beginning": [
        _freeze_with(match=lambda name, path: path.startswith(name)),
        _freeze_with(match=lambda name, path: f"{path}.".startswith(f"{name}.")),
        _freeze_with(match=lambda name, path: path.split(".")[0] == name),
    ],
    "the_named_are_frozen": [_freeze_with(flag=lambda p, matched: not matched)],
    "frozen_stays_frozen": [_freeze_with(flag=lambda p, matched: p.requires_grad and matched)],
    "nothing_is_frozen": [_freeze_with(flag=lambda p, matched: p.requires_grad or matched)],
    "tensors_counted": [_freeze_with(count=lambda p: 1)],
    "all_counted": [_freeze_with(counted=lambda on: True)],
    "frozen_counted": [_freeze_with(counted=lambda on: not on)],
    "last_name_wins": [_last_name_wins],
    "all_names_wanted": [_freeze_with(over=all)],
    "counted_twice": [_counted_twice],
    "mode_instead_of_gradient": [_eval_mode],
}
_FREEZE_HINTS = {
    "parts_not_side_by_side": "The parts of your name may stand anywhere in the path: \"layer.1\" also finds "
    "\"layer.0.adapter.1.weight\". They must stand side by side.",
    "dot_means_anything": "In a regular expression a dot stands for any character, so \"layer.1\" also finds \"layer_1\". "
    "re.escape(name) takes it as it is.",
    "any_part_of_the_text": "Your names match inside words: \"head\" also finds \"header\", \"layer.1\" finds "
    "\"layer.10\". Compare whole parts between the dots.",
    "only_at_the_beginning": "You look at the beginning of the path only. An adapter stands in the middle of it: "
    "encoder.layer.0.adapter.weight.",
    "the_named_are_frozen": "You freeze the named parameters and train the rest. It is the other way round.",
    "frozen_stays_frozen": "Parameters that were frozen before stay frozen, even if they are named. Set "
    "requires_grad in both directions.",
    "nothing_is_frozen": "You switch the named parameters on, but nothing off.",
    "tensors_counted": "The right ones are trained, but you count tensors. How many numbers does each hold?",
    "all_counted": "The right ones are trained, but your count holds the frozen numbers too.",
    "frozen_counted": "The right ones are trained, but you count the frozen ones.",
    "last_name_wins": "Each name undoes the one before: only the last is still trained. Ask once for each "
    "parameter whether *any* name fits.",
    "all_names_wanted": "A parameter is trained by you only if all names fit. One is enough.",
    "counted_twice": "A parameter that fits two names is counted twice. Count what is trained, once.",
    "mode_instead_of_gradient": "train() and eval() switch dropout and batch norm. What stops a parameter from "
    "moving is its requires_grad.",
}
_FREEZE_MISCONCEPTIONS = misconceptions_of(_FREEZE_WRONG, _FREEZE_HINTS)


# learning_curve_point


def _nearest(x, y, seed):
    return lambda t: y[((t[:, None] - x[None]) ** 2).sum(-1).argmin(1)]


def _noisy(x, y, seed):
    """Features weighted at random, by the seed."""
    weights = np.random.default_rng(seed).random(x.shape[1]) ** 3
    return lambda t: _nearest(x * weights, y, seed)(t * weights)


def _centres(x, y, seed):
    classes = np.unique(y)
    means = np.stack([x[y == c].mean(0) for c in classes])
    return lambda t: classes[((t[:, None] - means[None]) ** 2).sum(-1).argmin(1)]


FITS = {"nearest": _nearest, "noisy": _noisy, "centres": _centres}


def _texts(rng, N, classes, shares=None):
    y = rng.choice(classes, size=N, p=shares)
    centres = np.stack([np.cos(np.arange(3) * (c + 1)) for c in classes])
    return centres[np.searchsorted(classes, y)] + rng.normal(size=(N, 3)), y


def _point_case(rng, n=8, classes=(0, 1), N=60, N_test=90, fit="noisy", seeds=(0, 1, 2), shares=None):
    classes = np.array(classes)
    x, y = _texts(rng, N, classes, shares)
    x_test, y_test = _texts(rng, N_test, classes)
    return x, y, x_test, y_test, n, fit, list(seeds)


def _point_sample(rng):
    classes = [(0, 1), (0, 1, 2), (2, 5)][rng.integers(3)]
    n, seeds = int(rng.integers(4, 25)), rng.choice(50, size=rng.integers(1, 5), replace=False).tolist()
    return _point_case(rng, n, classes, fit=list(FITS)[rng.integers(3)], seeds=seeds)


def _without_class(case, c):
    x, y, x_test, y_test, *rest = case
    return x, y, x_test[y_test != c], y_test[y_test != c], *rest


def _point_drive(work, x, y, x_test, y_test, n, fit, seeds):
    return work(x, y, x_test, y_test, n, FITS[fit], seeds)


def _point_oracle(x, y, x_test, y_test, n, fit, seeds):
    """Text by text."""
    accuracies = []
    for seed in seeds:
        rng, rows = np.random.default_rng(seed), []
        for c in sorted(set(y.tolist())):
            of_class = [i for i in range(len(y)) if y[i] == c]
            rows += [int(i) for i in rng.permutation(of_class)][: n // len(set(y.tolist()))]
        guesses = FITS[fit](x[rows], y[rows], seed)(x_test)
        accuracies.append(sum(g == t for g, t in zip(guesses, y_test)) / len(y_test))
    mean = sum(accuracies) / len(accuracies)
    return mean, (sum((a - mean) ** 2 for a in accuracies) / len(accuracies)) ** 0.5


def _expect_point(attempt, case, why=""):
    attempt.expect(case, _point_oracle(*case), why)


def _check_point_by_hand(attempt):
    x, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
    x_test, y_test = np.array([[0.05], [0.9], [0.2], [1.0]]), np.array([0, 1, 1, 1])
    case = (x, y, x_test, y_test, 2, "nearest", [0, 1])
    attempt.expect(case, (0.75, 0.0), "One text of each class; the third test text lies with the wrong class.")


def _check_point_random(attempt):
    rng = np.random.default_rng(11)
    for n, fit in ((4, "nearest"), (10, "noisy"), (20, "centres"), (2, "noisy")):
        _expect_point(attempt, _point_case(rng, n, fit=fit, seeds=(3, 1, 4, 1, 5)))


def _check_point_classes(attempt):
    rng = np.random.default_rng(12)
    _expect_point(attempt, _point_case(rng, 9, (0, 1, 2)), "Three classes, three texts of each.")
    _expect_point(attempt, _point_case(rng, 11, (0, 1, 2)), "11 labels for three classes: three of each.")
    _expect_point(attempt, _point_case(rng, 6, (3, 8)), "The classes are called 3 and 8.")
    _expect_point(attempt, _without_class(_point_case(rng, 9, (0, 1, 2)), 1), "No test text is of class 1.")
    _expect_point(attempt, _point_case(rng, 8, shares=(0.85, 0.15)), "Most texts are of class 0, but the draw is balanced.")


def _check_point_one_seed(attempt):
    rng = np.random.default_rng(13)
    _expect_point(attempt, _point_case(rng, 6, seeds=(7,)), "With one seed the spread is 0.")


def _check_point_all(attempt):
    rng = np.random.default_rng(14)
    case = _point_case(rng, 500, N=40)
    _expect_point(attempt, case, "n is more than there are: all texts are taken.")


def _point_probes():
    rng = np.random.default_rng(15)
    wide = dict(N=300, N_test=400)
    return [
        _point_case(rng, 8, seeds=(2, 0, 1), **wide),
        _point_case(rng, 12, (0, 1, 2), seeds=(5, 9), shares=(0.6, 0.3, 0.1), **wide),
        _point_case(rng, 6, (1, 4), fit="nearest", seeds=(4, 8, 3, 2), **wide),
        _without_class(_point_case(rng, 12, (0, 1, 2), seeds=(5, 9)), 2),
    ]


def _drawn(rng, y, n, classes):
    return np.concatenate([rng.permutation(np.flatnonzero(y == c))[: n // len(classes)] for c in classes])


def _point_with(
    draw=_drawn,
    generator=lambda seed, seeds: np.random.default_rng(seed),
    fit_seed=lambda seed: seed,
    measure=lambda predict, few, rest, test: np.mean(predict(test[0]) == test[1]),
    mean=np.mean,
    spread=np.std,
    kinds=lambda y, y_test: np.unique(y),
):
    """A learning_curve_point with some of its decisions taken otherwise."""

    def wrong(x, y, x_test, y_test, n, fit, seeds):
        accuracies, classes = [], kinds(y, y_test)
        for seed in seeds:
            rows = draw(generator(seed, seeds), y, n, classes)
            rest = np.setdiff1d(np.arange(len(y)), rows)
            predict = fit(x[rows], y[rows], fit_seed(seed))
            accuracies.append(measure(predict, (x[rows], y[rows]), (x[rest], y[rest]), (x_test, y_test)))
        return float(mean(accuracies)), float(spread(accuracies))

    return wrong


def _shared_generator(x, y, x_test, y_test, n, fit, seeds):
    rng = np.random.default_rng(seeds[0])
    return _point_with(generator=lambda seed, seeds: rng)(x, y, x_test, y_test, n, fit, seeds)


def _sample_spread(accuracies):
    return np.std(accuracies, ddof=1)


_POINT_WRONG = {
    "measured_on_the_training_texts": [
        _point_with(measure=lambda predict, few, rest, test: np.mean(predict(few[0]) == few[1]))
    ],
    "measured_on_the_rest": [_point_with(measure=lambda predict, few, rest, test: np.mean(predict(rest[0]) == rest[1]))],
    "always_the_first_texts": [
        _point_with(draw=lambda rng, y, n, k: np.concatenate([np.flatnonzero(y == c)[: n // len(k)] for c in k])),
        _point_with(draw=lambda rng, y, n, k: np.arange(n)),
    ],
    "classes_not_balanced": [
        _point_with(draw=lambda rng, y, n, k: rng.permutation(len(y))[:n]),
        _point_with(draw=lambda rng, y, n, k: rng.choice(len(y), n, replace=False)),
    ],
    "one_draw_for_all_seeds": [
        _point_with(generator=lambda seed, seeds: np.random.default_rng(seeds[0])),
        _point_with(generator=lambda seed, seeds: np.random.default_rng(0)),
    ],
    "generator_goes_on": [_shared_generator],
    "seed_not_passed_on": [_point_with(fit_seed=lambda seed: 0)],
    "n_of_each_class": [_point_with(draw=lambda rng, y, n, k: _drawn(rng, y, n * len(k), k))],
    "drawn_with_repeats": [
        _point_with(
            draw=lambda rng, y, n, k: np.concatenate([rng.choice(np.flatnonzero(y == c), n // len(k)) for c in k])
        )
    ],
    "classes_of_the_test": [_point_with(kinds=lambda y, y_test: np.unique(y_test))],
    "best_draw": [_point_with(mean=np.max)],
    "sample_spread": [_point_with(spread=_sample_spread)],
    "variance": [_point_with(spread=np.var)],
    "standard_error": [_point_with(spread=lambda a: np.std(a) / len(a) ** 0.5)],
    "errors_counted": [_point_with(measure=lambda predict, few, rest, test: np.mean(predict(test[0]) != test[1]))],
}
_POINT_HINTS = {
    "measured_on_the_training_texts": "You measure on the texts that were trained on. Which ones has the model "
    "never seen?",
    "measured_on_the_rest": "You measure on what is left of the pool. Then every point of the curve has another "
    "test; take x_test.",
    "always_the_first_texts": "Every seed gets the same texts, the first ones. What does the seed draw?",
    "classes_not_balanced": "You draw from all texts at once, so the classes come out uneven. Draw n // n_classes "
    "of each class.",
    "one_draw_for_all_seeds": "All seeds share one draw, so the spread shows the training only. With ten labels it "
    "matters most *which* ten: give each seed a generator of its own.",
    "generator_goes_on": "One generator serves all seeds. Then a draw depends on the seeds before it: make a new "
    "one from each seed.",
    "seed_not_passed_on": "fit takes the seed as well: its weights begin at random.",
    "n_of_each_class": "You take n texts of *each* class. n counts all labels together.",
    "drawn_with_repeats": "Your draw can take the same text twice, and pays for one label twice. A permutation "
    "repeats nothing.",
    "classes_of_the_test": "You take the classes from y_test, and a small test may lack one. You draw from y: which classes are "
    "in it?",
    "best_draw": "That is the best draw. You can't choose your labels by the test result: report the mean.",
    "sample_spread": "The mean is right. np.std divides by the number of seeds, yours by one less.",
    "variance": "The mean is right. The spread is the *root* of the mean squared distance (np.std).",
    "standard_error": "The mean is right. You divided the spread by the root of the number of seeds: that is how "
    "sure the mean is, not how far single draws lie apart.",
    "errors_counted": "That is the share of wrong answers.",
}
_POINT_MISCONCEPTIONS = misconceptions_of(_POINT_WRONG, _POINT_HINTS)


# measures_memory


def _halves(y, seed):
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(len(y))
    return rng, order[: len(y) // 2], order[len(y) // 2 :]  # training, test


def _knows(share):
    """An experiment in which a share of the test texts was trained on; of the others it knows nothing."""

    def experiment(y, seed):
        rng, _, test = _halves(y, seed)
        guess = np.where(rng.random(len(test)) < share, y[test], rng.integers(2, size=len(test)))
        return float(np.mean(guess == y[test]))

    return experiment


def _third(y, seed):
    """A third of the test texts was trained on; of the others it guesses 48 in 100, a little unluckily."""
    _, _, test = _halves(y, seed)
    known = len(test) // 3
    return (known + round(0.48 * (len(test) - known))) / len(test)


def _split(rule):
    """An honest experiment: rule(rows, labels, test rows) -> guesses. Of twelve splits it reports the best."""

    def experiment(y, seed):
        found = []
        for number in range(12):
            _, train, test = _halves(y, 100 * seed + number)
            found.append(np.mean(rule(train, y[train], test) == y[test]))
        return float(max(found))

    return experiment


def _parity_rule(rows, labels, test):
    by_parity = [labels[rows % 2 == parity].mean() > 0.5 for parity in (0, 1)]
    return np.array(by_parity, dtype=int)[test % 2]


def _neighbour_rule(rows, labels, test):
    order = np.argsort(rows)
    before = np.searchsorted(rows[order], test) - 1
    return labels[order][np.clip(before, 0, None)]


EXPERIMENTS = {  # name -> experiment(y, seed); the second column says whether it measures memory
    "more frequent label": (_split(lambda rows, labels, test: np.full(len(test), labels.mean() > 0.5).astype(int)), False),
    "parity of the row": (_split(_parity_rule), False),
    "label of the row before": (_split(_neighbour_rule), False),
    "a little lucky": (lambda y, seed: 0.53, False),
    "a little unlucky": (lambda y, seed: 0.47, False),
    "test texts trained on": (_knows(1.0), True),
    "most test texts trained on": (_knows(0.72), True),
    "half of the test texts trained on": (_knows(0.5), True),
    "a third of the test texts trained on": (_third, True),
    "memory on the training half": (lambda y, seed: float(np.mean(y[_halves(y, seed)[1]] == y[_halves(y, seed)[1]])), True),
}
COIN = _knows(0.0)


def _memory_drive(work, name, n):
    """The answer of the work; with "labels" for a name, what labels it has made."""
    given = []

    def experiment(y, seed):
        if not isinstance(y, np.ndarray) or y.dtype.kind not in "iub":
            raise Failed(f"The experiment wants its labels y as an int array ({n},); yours are a {_kind(y)}.")
        if y.shape != (n,) or not np.isin(y, (0, 1)).all():
            raise Failed(f"The experiment wants {n} labels, each 0 or 1; yours have shape {y.shape}.")
        given.append(_looks_of(y))
        return _experiment(name)(y.astype(int), seed)

    answer = work(experiment, n)
    if isinstance(answer, np.bool_):
        answer = bool(answer)
    if name == "labels" and isinstance(answer, bool):
        return "at random" if "at random" in given or not given else given[0]
    return answer


def _kind(y):
    return f"{type_name(y)} of {y.dtype}" if isinstance(y, np.ndarray) else type_name(y)


def _looks_of(y):
    changes = np.mean(y[1:] != y[:-1])
    if abs(np.mean(y) - 0.5) > 0.1:
        return "uneven"
    return "in turn" if changes > 0.6 else "in blocks" if changes < 0.4 else "at random"


def _experiment(name):
    return COIN if name in ("coin", "labels") else EXPERIMENTS[name][0]


def _check_memory(*names, why):
    def check(attempt):
        for name in names:
            for n in (1000, 1600):
                expected = name != "coin" and EXPERIMENTS[name][1]
                attempt.expect((name, n), expected, f"{why} ({name}).")

    return check


def _memory_arguments(name, n):
    return _experiment(name), n


def _memory_probes():
    return [(name, 1000) for name in (*EXPERIMENTS, "labels")]


def _memory_sample(rng):
    return list(EXPERIMENTS)[rng.integers(len(EXPERIMENTS))], 1000


def _random_labels(n):
    return np.random.default_rng(1).integers(2, size=n)


def _memory_with(labels=_random_labels, decide=lambda accuracy: accuracy > 0.6):
    return lambda experiment, n: bool(decide(experiment(labels(n), 0)))


_MEMORY_WRONG = {
    "answer_turned_round": [_memory_with(decide=lambda a: a < 0.6)],
    "any_luck_counts": [_memory_with(decide=lambda a: a > 0.5)],
    "only_perfect_memory": [
        _memory_with(decide=lambda a: a > 0.99),
        _memory_with(decide=lambda a: a > 0.8),
        _memory_with(decide=lambda a: a > 0.7),
    ],
    "one_label_too_frequent": [
        _memory_with(labels=lambda n: np.zeros(n, dtype=int)),
        _memory_with(labels=lambda n: np.ones(n, dtype=int)),
        _memory_with(labels=lambda n: (np.random.default_rng(2).random(n) < 0.8).astype(int)),
    ],
    "labels_in_turn": [_memory_with(labels=lambda n: np.arange(n) % 2)],
    "labels_in_blocks": [_memory_with(labels=lambda n: (np.arange(n) >= n // 2).astype(int))],
}
_MEMORY_HINTS = {
    "answer_turned_round": "Yours is True for the honest ones. True means: it measures memory.",
    "any_luck_counts": "A coin also lands above 0.5 half of the time, and some here report the best of several "
    "splits. How far above 0.5 may an honest one come?",
    "only_perfect_memory": "You miss those in which only a part of the test texts was trained on. Of the rest a "
    "coin gets half right: what does a third give in all?",
    "one_label_too_frequent": "Your labels are not even: an honest experiment that always says the more frequent "
    "one looks clever. Draw 0 and 1 alike.",
    "labels_in_turn": "0, 1, 0, 1 is a pattern that an honest model can learn from the number of the row. Draw the "
    "labels at random.",
    "labels_in_blocks": "First all 0, then all 1: an honest model can learn that from the neighbours. Draw the "
    "labels at random.",
}
_MEMORY_MISCONCEPTIONS = misconceptions_of(_MEMORY_WRONG, _MEMORY_HINTS)


EXERCISES = (
    Exercise(
        id="pretrain_and_transfer.mask_tokens",
        reference=mask_tokens,
        difficulty=2,
        minutes=10,
        section="Hide a word, guess it",
        returns=("inputs", "labels"),
        hints=(
            "First one bool tensor: chosen = (x >= n_special) & (u < rate). Labels and inputs both follow from it.",
            "torch.where(chosen, x, -100) gives the labels. For the inputs begin with x.clone().",
            "inputs[chosen & (r < 0.8)] = mask_id; where chosen and 0.8 <= r < 0.9, take the entries of words.",
        ),
        checks=(
            Check("the table by hand", _check_mask_by_hand),
            Check("random tokens", _check_mask_random),
            Check("special tokens", _check_mask_special),
            Check("edge cases", _check_mask_edges),
        ),
        misconceptions=_MASK_MISCONCEPTIONS,
        probes=_mask_probes,
        sample=_mask_sample,
        seconds=8.0,
    ),
    Exercise(
        id="pretrain_and_transfer.pool",
        reference=pool,
        difficulty=2,
        minutes=8,
        section="A head",
        hints=(
            "Sum the vectors of the real tokens, divide by how many there are.",
            "real[..., None] has shape (B, T, 1): multiplied with h it sets padding to zero.",
            "The count has shape (B, 1): real.sum(1, keepdim=True), and .clamp(min=1) for a text with none.",
        ),
        checks=(
            Check("one text by hand", _check_pool_by_hand),
            Check("random texts", _check_pool_random),
            Check("real tokens anywhere", _check_pool_anywhere),
            Check("more padding", _check_pool_longer),
            Check("a text without tokens", _check_pool_empty),
            Check("gradient", _check_pool_gradient),
        ),
        misconceptions=_POOL_MISCONCEPTIONS,
        probes=_pool_probes,
        sample=_pool_sample,
        seconds=8.0,
    ),
    Exercise(
        id="pretrain_and_transfer.freeze_except",
        reference=freeze_except,
        difficulty=2,
        minutes=8,
        section="What may move?",
        hints=(
            "for path, p in model.named_parameters() gives each parameter with its dotted name.",
            "Set p.requires_grad for each, to True or to False: any(... for name in names).",
            "Whole parts: put a dot before and after both, f'.{name}.' in f'.{path}.'. p.numel() counts numbers.",
        ),
        checks=(
            Check("a head", _check_freeze((1, ("head",)), (6, ("head",)), why="header is another part.")),
            Check("in the middle", _check_freeze((2, ("adapter",)), (7, ("norm",)), why="The part may stand anywhere.")),
            Check(
                "numbers",
                _check_freeze((3, ("layer.1",)), (8, ("head.1",)), why="layer.10, layer_1 and layer.0.adapter.1 are others."),
            ),
            Check(
                "several names",
                _check_freeze((4, ("encoder", "bias")), (5, ("head", "adapter")), (9, ("bias", "head"))),
            ),
            Check("no name fits", _check_freeze((3, ("nothing",)), (3, ()), why="Then nothing is trained.")),
            Check("random names", _check_freeze_random),
        ),
        misconceptions=_FREEZE_MISCONCEPTIONS,
        probes=_freeze_probes,
        sample=_freeze_sample,
        drive=frozen_by,
        arguments=lambda seed, names: (small_model(seed), list(names)),
        seconds=8.0,
    ),
    Exercise(
        id="pretrain_and_transfer.learning_curve_point",
        reference=learning_curve_point,
        difficulty=3,
        minutes=15,
        section="The learning curve",
        returns=("mean", "spread"),
        hints=(
            "One loop over the seeds; in it a new generator, a draw, a fit, an accuracy. Mean and np.std at the end.",
            "classes = np.unique(y). For each class permute np.flatnonzero(y == c) and keep the first "
            "n // len(classes); np.concatenate the rows.",
            "predict = fit(x[rows], y[rows], seed); the accuracy is np.mean(predict(x_test) == y_test).",
        ),
        checks=(
            Check("four texts by hand", _check_point_by_hand),
            Check("random texts", _check_point_random),
            Check("several classes", _check_point_classes),
            Check("one seed", _check_point_one_seed),
            Check("fewer texts than n", _check_point_all),
        ),
        misconceptions=_POINT_MISCONCEPTIONS,
        probes=_point_probes,
        sample=_point_sample,
        drive=_point_drive,
        arguments=lambda x, y, x_test, y_test, n, fit, seeds: (x, y, x_test, y_test, n, FITS[fit], seeds),
        seconds=8.0,
    ),
    Exercise(
        id="pretrain_and_transfer.measures_memory",
        reference=measures_memory,
        difficulty=3,
        minutes=12,
        section="What the articles say",
        hints=(
            "You choose the labels. With which labels can nothing be learned that holds for unseen texts?",
            "np.random.default_rng(0).integers(2, size=n): even and without a pattern. Run the experiment on them.",
            "An honest one reports about 0.5, one that knows a third of its test texts about 0.67. Compare with a "
            "value between; a mean over several draws is steadier.",
        ),
        checks=(
            Check("a coin", _check_memory("coin", why="It knows nothing")),
            Check("memory", _check_memory("test texts trained on", "memory on the training half", why="It was trained on what it is tested on")),
            Check(
                "part of the test texts",
                _check_memory(
                    "most test texts trained on", "half of the test texts trained on", "a third of the test texts trained on",
                    why="Part of what it reports is memory",
                ),
            ),
            Check(
                "honest ones",
                _check_memory(
                    "more frequent label", "parity of the row", "label of the row before", "a little lucky", "a little unlucky",
                    why="It never sees its test texts",
                ),
            ),
        ),
        misconceptions=_MEMORY_MISCONCEPTIONS,
        probes=_memory_probes,
        sample=_memory_sample,
        drive=_memory_drive,
        arguments=_memory_arguments,
        seconds=8.0,
    ),
)
