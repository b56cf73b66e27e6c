"""The lean forward pass against transformers' own."""

import pytest
import torch
import torch.nn.functional as F

from bigmodel_nb.gpt2 import data, lean
from bigmodel_nb.gpt2.evaluate import logits_of

from .conftest import make_tiny


def test_logits_and_gradients_equal_those_of_transformers():
    model = make_tiny()
    ids = torch.randint(1, 4096, (3, 40), generator=torch.Generator().manual_seed(0))
    for use in (logits_of, lambda m, x: m(x).logits):
        model.zero_grad()
        logits = use(model, ids)
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        if use is logits_of:
            ours = [p.grad.clone() for p in model.parameters()]
            first = logits.detach()
    assert torch.allclose(first, logits, atol=1e-5)
    assert all(torch.allclose(a, p.grad, atol=1e-6) for a, p in zip(ours, model.parameters()))


def test_gpt2_small_shape_agrees_too():
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_layer=2)).eval()
    ids = torch.randint(50257, (1, 30))
    with torch.no_grad():
        assert (logits_of(model, ids) - model(ids).logits).abs().max() < 1e-4


@pytest.mark.parametrize("change", [{"activation_function": "relu"}, {"scale_attn_by_inverse_layer_idx": True}])
def test_variants_fall_back_to_the_models_own_pass(change):
    model = make_tiny(**change)
    assert not lean.supports(model)
    ids = torch.randint(1, 4096, (1, 20))
    with torch.no_grad():
        assert torch.allclose(logits_of(model, ids), model(ids).logits, atol=1e-5)


def test_dropout_acts_only_in_training():
    model, ids = make_tiny(dropout=0.5), torch.randint(1, 4096, (1, 20))
    with torch.no_grad():
        assert torch.equal(logits_of(model, ids), logits_of(model, ids))
        assert not torch.equal(logits_of(model.train(), ids), logits_of(model, ids))


def test_packed_documents_give_the_logits_that_each_gives_alone():
    model, eos = make_tiny(), 0
    documents = [[5, 6, 7, 8], [9, 10], [11, 12, 13]]
    x, _ = data.pack(documents, 16, eos)
    for pass_ in (logits_of, plain):
        with torch.no_grad():
            packed = pass_(model, x, *lean.document_mask(x, eos))[0]
        place = 0
        for ids in documents:
            with torch.no_grad():
                alone = model(torch.tensor([[eos, *ids]])).logits[0]
            assert torch.allclose(packed[place : place + len(alone)], alone, atol=1e-5)
            place += len(alone)


def plain(model, ids, positions, mask):
    """The path that adapters and other models take."""
    model = make_subclass(model)
    assert not lean.supports(model)
    return logits_of(model, ids, positions, mask)


def make_subclass(model):
    other = make_tiny()
    other.load_state_dict(model.state_dict())
    other.__class__ = type("Adapted", (type(other),), {})
    return other


def test_without_the_mask_documents_do_look_at_each_other():
    model, x = make_tiny(), torch.tensor([[0, 5, 6, 7, 0, 9, 10]])
    other = torch.tensor([[0, 55, 66, 77, 0, 9, 10]])
    with torch.no_grad():
        assert not torch.allclose(model(x).logits[0, 4:], model(other).logits[0, 4:], atol=1e-3)
        a = logits_of(model, x, *lean.document_mask(x, 0))[0, 4:]
        b = logits_of(model, other, *lean.document_mask(other, 0))[0, 4:]
    assert torch.equal(a, b)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_activation_checkpointing_changes_no_gradient_and_keeps_less(dropout):
    ids, found = torch.randint(1, 4096, (2, 30), generator=torch.Generator().manual_seed(0)), []
    for checkpointing in (False, True):
        model, kept = make_tiny(dropout).train(), []
        if checkpointing:
            model.activation_checkpointing_enable()
        torch.manual_seed(3)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            loss = logits_of(model, ids).square().mean()
        loss.backward()
        found.append(([p.grad for p in model.parameters()], sum(kept)))
    (plain, all_kept), (again, fewer) = found
    assert all(torch.equal(a, b) for a, b in zip(plain, again)) and fewer < 0.85 * all_kept
