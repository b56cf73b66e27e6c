"""Right answers of lesson 16 in another style."""

import re

import numpy as np


def as_escaped_patterns(model, names):
    wanted = [re.compile(rf"(^|\.){re.escape(name)}(\.|$)") for name in names]
    for path, p in model.named_parameters():
        p.requires_grad_(any(pattern.search(path) is not None for pattern in wanted))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def shuffled_halves(experiment, n):
    found = []
    for seed in range(7):
        y = (np.arange(n) < n // 2).astype(int)
        found.append(experiment(np.random.default_rng([seed, 1]).permutation(y), seed))
    return bool(np.median(found) > 0.62)


def one_run(experiment, n):
    return bool(experiment(np.random.default_rng(3).integers(2, size=n), 3) > 0.59)


RIGHT = {
    "pretrain_and_transfer.freeze_except": [as_escaped_patterns],
    "pretrain_and_transfer.measures_memory": [shuffled_halves, one_run],
}
