"""Right answers of lesson 17 in another style."""

import numpy as np
import torch


def without_a_copy_that_is_marked(loss, x, epsilon, low=0.0, high=1.0):
    slope = torch.func.grad(loss)(x).detach()
    moved = torch.where(slope > 0, x + epsilon, torch.where(slope < 0, x - epsilon, x))
    return torch.clip(moved, low, high)


def every_class_that_comes_out(classify, messages, words, share=0.9):
    before = list(classify(messages))
    for word in words:
        after = list(classify([" ".join((message, word)) for message in messages]))
        for c in set(before + after):
            others = [b == c for a, b in zip(before, after) if a != c]
            if others and np.mean(others) > share:
                return word


RIGHT = {
    "robust_and_multimodal.fgsm": [without_a_copy_that_is_marked],
    "robust_and_multimodal.find_trigger": [every_class_that_comes_out],
}
