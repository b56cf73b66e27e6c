"""Lesson 04: right answers whose cases are divided in another way, and hints that must fit."""

import math

from bigmodel_nb import exercises


def test_the_step_that_ends_the_warmup_may_belong_to_it():
    """Where warm-up and schedule end at one step, the docstring allows lr_max as well as lr_min."""

    def work(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
        if step <= warmup_steps:
            return lr_max * (step + 1) / (warmup_steps + 1)
        p = min(1, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return lr_min + (lr_max - lr_min) * math.cos(math.pi * p / 2) ** 2

    verdict = exercises.check("optimizers.cosine_schedule", work)
    assert verdict.status == "passed", verdict.text


def test_a_cosine_that_does_not_arrive_is_not_told_to_begin_late():
    def work(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
        if step < warmup_steps:
            return lr_max * (step + 1) / (warmup_steps + 1)
        if step >= total_steps:
            return lr_min
        return lr_min + (lr_max - lr_min) * (1 + math.cos(math.pi * (step - warmup_steps) / total_steps)) / 2

    assert "does not arrive" in exercises.check("optimizers.cosine_schedule", work).hint
