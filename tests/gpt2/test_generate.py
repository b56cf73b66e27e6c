"""Sampling: equal to transformers where it must be, in distribution elsewhere."""

import pytest
import torch

import bigmodel_nb as bn
from bigmodel_nb.errors import DataError
from bigmodel_nb.gpt2.generate import draw_filtered, sample

from .conftest import make_tiny

PROMPT = "Once upon a time there was"


def greedy_of_transformers(model, tokenizer, prompt, n):
    ids = tokenizer(prompt, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=n, do_sample=False, pad_token_id=0)
    return out[0, ids["input_ids"].shape[1] :].tolist()


def test_greedy_equals_transformers_token_for_token(pocket):
    ours = bn.generate(*pocket, PROMPT, max_new_tokens=80, temperature=0)
    assert ours.tokens == greedy_of_transformers(*pocket, PROMPT, 80)
    assert ours.text.startswith(PROMPT) and len(ours.tokens) == len(ours.steps)


def test_prompts_of_unequal_length_at_once_give_what_each_gives_alone(pocket):
    prompts = [PROMPT, "The king", "A", "The fox went through the dark wood and said to the"]
    together = bn.generate(*pocket, prompts, max_new_tokens=30, temperature=0)
    for prompt, result in zip(prompts, together):
        assert result.tokens == greedy_of_transformers(*pocket, prompt, 30)
        assert result.prompt == prompt


def test_models_without_a_lean_pass_give_the_same(pocket):
    model, tokenizer = pocket
    try:
        plain = type("Adapted", (type(model),), {})
        expected = bn.generate(model, tokenizer, PROMPT, 8, temperature=0).tokens
        model.__class__ = plain
        assert bn.generate(model, tokenizer, PROMPT, 8, temperature=0).tokens == expected
    finally:
        model.__class__ = plain.__mro__[1]


def test_the_same_seed_gives_the_same_text_and_another_seed_another(pocket):
    a, b, c = (bn.generate(*pocket, PROMPT, 20, seed=s).text for s in (1, 1, 2))
    assert a == b != c


def test_sampling_equals_the_softmax_in_distribution():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -2.0]]).repeat(40_000, 1)
    drawn = draw_filtered(logits / 0.7, None, None, torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=5) / len(drawn)
    assert torch.allclose(share, torch.softmax(logits[0] / 0.7, -1), atol=0.01)


def test_top_k_keeps_k_and_top_p_keeps_the_token_that_crosses():
    logits = torch.log(torch.tensor([[0.1, 0.5, 0.25, 0.15]])).repeat(4000, 1)
    generator = torch.Generator().manual_seed(0)
    assert set(draw_filtered(logits, 2, None, generator).tolist()) == {1, 2}
    assert set(draw_filtered(logits, None, 0.5, generator).tolist()) == {1}
    assert set(draw_filtered(logits, None, 0.51, generator).tolist()) == {1, 2}
    assert set(draw_filtered(logits, 3, 1.0, generator).tolist()) == {1, 2, 3}


def test_steps_hold_probabilities_before_filtering(pocket):
    model, tokenizer = pocket
    step = bn.generate(model, tokenizer, PROMPT, 1, temperature=0).steps[0]
    with torch.no_grad():
        p = torch.softmax(model(tokenizer(PROMPT, return_tensors="pt")["input_ids"]).logits[0, -1], -1)
    assert abs(step.probability - float(p.max())) < 1e-5
    assert [i for i, _ in step.candidates] == p.topk(5).indices.tolist()


def test_text_goes_on_past_the_context(tiny):
    model, tokenizer = tiny
    result = bn.generate(model, tokenizer, PROMPT, max_new_tokens=150, seed=0)
    assert len(result.tokens) == 150 or result.tokens[-1] == 0


def test_of_a_prompt_longer_than_the_context_the_end_is_used(tiny):
    model, _ = tiny
    long = list(range(100, 300))
    a = sample(model, [long], 3, 0, None, None, None, -1)
    b = sample(model, [long[-63:]], 3, 0, None, None, None, -1)
    assert [s.token for s in a[0]] == [s.token for s in b[0]]


def test_an_empty_prompt_starts_from_the_end_mark(pocket):
    assert len(bn.generate(*pocket, "", max_new_tokens=5, seed=0).tokens) > 0


def test_zero_new_tokens_gives_the_prompt_back(pocket):
    result = bn.generate(*pocket, PROMPT, max_new_tokens=0)
    assert result.text == PROMPT and result.tokens == []


def test_a_row_ends_at_the_end_mark(tiny):
    model, tokenizer = tiny
    with torch.no_grad():  # the end mark is always the most probable token
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(model.transformer.wte.weight[0])
    result = bn.generate(model, tokenizer, "The king", max_new_tokens=20, temperature=0)
    assert result.tokens == [0] and result.text == "The king"


def test_markup_in_a_prompt_stays_text(pocket):
    assert bn.generate(*pocket, "<script>alert(1)</script>", 3, seed=0).text.startswith("<script>")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": -1}, "temperature must be 0"),
        ({"temperature": float("nan")}, "temperature must be 0"),
        ({"top_k": 0}, "top_k must be"),
        ({"top_p": 0}, "top_p must be"),
        ({"top_p": 1.5}, "top_p must be"),
        ({"max_new_tokens": -1}, "max_new_tokens must be"),
        ({"max_new_tokens": 2.5}, "max_new_tokens must be"),
        ({"prompt": []}, "prompt must be"),
        ({"prompt": [3]}, "prompt must be"),
    ],
)
def test_arguments_out_of_range_are_named(pocket, changes, message):
    arguments = {"prompt": PROMPT, "max_new_tokens": 2, **changes}
    with pytest.raises(DataError, match=message):
        bn.generate(*pocket, **arguments)


def test_dropout_is_off_while_sampling_and_the_mode_is_put_back(pocket):
    model = make_tiny(dropout=0.9).train()
    a, b = (bn.generate(model, pocket[1], "The", 5, temperature=0).tokens for _ in range(2))
    assert a == b and model.training
