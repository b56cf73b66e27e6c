"""The count of a GPT-2's arithmetic against torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bigmodel_nb.gpt2.flops import training_flops

from .conftest import make_tiny


@pytest.mark.parametrize("T, changes", [(16, {}), (60, {"n_inner": 40, "n_layer": 3})])
def test_equal_to_torchs_counter(T, changes):
    model = make_tiny(**changes)
    model.config._attn_implementation = "eager"  # whose products the counter sees one by one
    ids = torch.randint(1, 4096, (1, T))
    with FlopCounterMode(display=False) as counter:
        model(ids).logits.sum().backward()
    assert training_flops(model.config, T) * T == counter.get_total_flops()


def test_gpt2_small_costs_6_a_parameter_and_attention():
    from transformers import GPT2Config

    assert abs(training_flops(GPT2Config(), 1024) / (6 * 124e6) - 1) < 0.2
