"""The GPT-2 of lesson 11, as it stands in the stored notebook's cells, against transformers'."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types

import nbformat
import pytest
import torch

from bigmodel_nb.exercises import gpt2_from_scratch as exercises
from tests.gpt2.conftest import make_tiny
from tests.notebook_rules import ROOT

WHOLE = ("whole-parts", "whole-block", "whole-model", "from-transformers")
IMPORTS = "import math\nimport torch\nimport torch.nn as nn\n"
SIZE_OF_GPT2_SMALL = """
from bigmodel_nb import memory
from tests.test_gpt2_from_scratch import lesson, torch
from transformers import GPT2Config, GPT2LMHeadModel

def work():
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(GPT2Config()).eval()
    ours = lesson()["from_transformers"](theirs)
    ids = torch.randint(50257, (1, 256))
    with torch.inference_mode():
        apart = (ours(ids)[0] - theirs(ids).logits).abs().max().item()
    return sum(p.numel() for p in ours.parameters()), apart

before = memory.rss()
done = memory.measure(work)
print(*done.result, before + done.peak_bytes)
"""


def cells() -> dict[str, str]:
    notebook = nbformat.read(ROOT / "notebooks" / "11_gpt2_from_scratch.ipynb", as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


def lesson() -> dict:
    """What the notebook's program defines; the learner's part of it, load_state_dict, solved."""
    module, sources = types.ModuleType("lesson_11"), cells()
    module.load_state_dict = exercises.load_state_dict
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(IMPORTS + "\n".join(sources[name] for name in WHOLE), vars(module))
    return vars(module)


@pytest.fixture(scope="module")
def ours():
    return lesson()


def test_it_is_short():
    sources = cells()
    lines = [line for name in WHOLE for line in sources[name].splitlines() if line.strip()]
    assert 80 <= len(lines) <= 120


@pytest.mark.slow
def test_gpt2_small_within_its_memory(say):
    """In a process of its own. (Its ru_maxrss would begin at the size of the process that forks it.)"""
    done = subprocess.run([sys.executable, "-c", SIZE_OF_GPT2_SMALL], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parameters, apart, peak = done.stdout.split()
    say(f"GPT-2 small by lesson 11: logits within {float(apart):.1e}, peak {int(peak) / 1e6:,.0f} MB")
    assert int(parameters) == 124_439_808
    assert float(apart) < 1e-4
    assert int(peak) < 1.5e9


@pytest.mark.parametrize(
    "changes",
    [{}, {"n_head": 1}, {"n_layer": 1, "n_embd": 20}, {"layer_norm_epsilon": 0.1}, {"vocab_size": 50, "n_positions": 9}],
    ids=str,
)
def test_any_shape_equals_transformers(ours, changes):
    theirs = make_tiny(**changes)
    model = ours["from_transformers"](theirs)
    ids = torch.randint(theirs.config.vocab_size, (3, theirs.config.n_positions))
    logits, right = model(ids)[0], theirs(ids).logits
    torch.testing.assert_close(logits, right, atol=1e-4, rtol=0)
    logits.square().mean().backward()
    right.square().mean().backward()
    for name, tensor in ours["load_state_dict"]({n: p.grad for n, p in theirs.named_parameters()}).items():
        torch.testing.assert_close(model.get_parameter(name).grad, tensor, atol=1e-5, rtol=1e-4)


def test_no_tensor_is_copied(ours):
    theirs = make_tiny()
    model = ours["from_transformers"](theirs)
    before = model(torch.tensor([[1, 2, 3]]))[0].detach()
    with torch.no_grad():
        theirs.transformer.h[1].mlp.c_fc.weight.mul_(1.5)
    assert (model(torch.tensor([[1, 2, 3]]))[0] - before).abs().max() > 1e-5
    given = {p.data_ptr() for p in theirs.parameters()}
    assert {p.data_ptr() for p in model.parameters()} == given


@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 1, 6], [11, 1]], ids=str)
def test_the_cache_changes_nothing(ours, pieces):
    model = ours["from_transformers"](make_tiny())
    ids = torch.randint(4096, (2, 12))
    with torch.inference_mode():
        at_once, past, parts = model(ids)[0], None, []
        for piece in ids.split(pieces, dim=1):
            logits, past = model(piece, past)
            parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), at_once, atol=1e-5, rtol=0)
    assert past[0][0].shape == (2, 4, 12, 8)


def test_text_is_that_of_generate(ours):
    theirs = make_tiny()
    ids = torch.randint(1, 4096, (2, 5))
    right = theirs.generate(ids, max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0,
                            attention_mask=torch.ones_like(ids))
    model = ours["from_transformers"](theirs)
    assert torch.equal(ours["generate"](model, ids, 20), right)
    assert torch.equal(ours["generate"](model, ids, 20, use_cache=False), right)


def test_what_it_does_not_compute_is_refused(ours):
    for changes in ({"activation_function": "relu"}, {"n_inner": 40}):
        with pytest.raises(AssertionError):
            ours["from_transformers"](make_tiny(**changes))


def test_the_exercises_work_on_numpy_arrays_too():
    """Test suites of other courses call them so."""
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    w, b = torch.randn(2, 4, dtype=torch.float64)
    assert torch.allclose(torch.tensor(exercises.layer_norm(x.numpy(), w.numpy(), b.numpy())), exercises.layer_norm(x, w, b))
    assert torch.allclose(torch.tensor(exercises.gelu_tanh(x.numpy())), exercises.gelu_tanh(x))
    assert list(inspect.signature(exercises.layer_norm).parameters) == ["x", "weight", "bias", "eps"]
