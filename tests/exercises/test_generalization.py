"""Lesson 05: right answers that draw their random numbers in another way, and a hint that must fit."""

import random

import numpy as np
import pytest

from bigmodel_nb import exercises


def by_random_state(y, seed):
    return np.random.RandomState(seed).permutation(y)


def by_list(y, seed):
    labels = y.tolist()
    random.Random(seed).shuffle(labels)
    return np.array(labels)


def by_random_keys(y, seed):
    return y[np.argsort(np.random.default_rng(seed).random(len(y)))]


STREAMS = [lambda y, seed, n=n: np.random.default_rng([seed, n]).permutation(y) for n in range(12)]


@pytest.mark.parametrize("mix", [by_random_state, by_list, by_random_keys, *STREAMS])
def test_labels_shuffled_by_any_generator_pass(mix):
    def work(pipeline, x, y, seed):
        train, held_out = pipeline(x, mix(y, seed))
        return train, held_out, held_out > np.bincount(y).max() / len(y) + 0.1

    verdict = exercises.check("generalization.shuffled_label_test", work)
    assert verdict.status == "passed", verdict.text


def test_labels_drawn_from_y_with_replacement_are_not_called_equally_likely():
    def work(pipeline, x, y, seed):
        train, held_out = pipeline(x, np.random.default_rng(seed).choice(y, len(y)))
        return train, held_out, held_out > np.bincount(y).max() / len(y) + 0.1

    verdict = exercises.check("generalization.shuffled_label_test", work)
    assert verdict.misconception == "new_labels_drawn" and "equally likely" not in verdict.hint
