"""The attention view's numbers, what it does to a model, its size, its fallback, and what it refuses."""

from __future__ import annotations

import base64
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from bigmodel_nb.errors import DataError, ModelError
from bigmodel_nb.widgets import AttentionView
from bigmodel_nb.widgets.attention_view import (
    ABSENT, PATTERNS, REACH, STEP, distances, encode, head_scores, pack, pairs, pooled, softmax, visible,
)
from bigmodel_nb.widgets.picture import Picture
from tests.gpt2.conftest import make_tiny

TEXT = "The king had a fox, and the fox had a king.\n"
MARKUP = "<script>window.hacked = true</script>"
DIVISORS = [1.0, math.sqrt(32), 8.0, 96.0]


@pytest.fixture(scope="module")
def pocket():
    from bigmodel_nb.gpt2.load import load_gpt2

    return load_gpt2("pocket")


def raw(layers=2, heads=3, T=5, causal=True, seed=0):
    scores = np.random.default_rng(seed).normal(size=(layers, heads, T, T)) * 3
    return softmax(np.where(np.tri(T, dtype=bool), scores, -np.inf) if causal else scores)


def names(T):
    return [f"t{i}" for i in range(T)]


def unpacked(view):
    """The scores that the browser gets, read back."""
    T, L, H = len(view.tokens), len(view.layers), view.heads
    tops = np.frombuffer(view.tops, "<f4").reshape(-1, L, H, T).astype(float)
    out = np.full((L, H, T, T), -np.inf)
    for n, data in enumerate([view.past, view.future] if view.future else [view.past]):
        inside = np.triu(np.ones((T, T), bool), 1) if n else np.tri(T, dtype=bool)
        rows, columns = np.nonzero(inside)
        codes = np.frombuffer(data, "<u2").reshape(L, H, -1)
        for i, divisor in enumerate(view.divisors or [1.0] * L):
            out[i][..., rows, columns] = tops[n, i][..., rows] - distances(divisor)[codes[i]]
    return out


def sent_bytes(view):
    """State and fallback as a notebook stores them: binary as base64."""
    as_text = lambda data: base64.b64encode(data).decode()  # noqa: E731
    data, _ = view._repr_mimebundle_()
    return len(json.dumps(view.get_state(), default=as_text)) + len(json.dumps(data))


# The two bytes of a score


@pytest.mark.parametrize("divisor", DIVISORS)
def test_every_code_comes_back(divisor):
    table = distances(divisor)
    assert (np.diff(table[:-1]) > 0).all() and table[0] == 0 and np.isinf(table[ABSENT])
    assert (encode(table, divisor) == np.arange(ABSENT + 1)).all()


@pytest.mark.parametrize("divisor", DIVISORS)
def test_error_of_a_code(divisor):
    x = np.concatenate([np.linspace(0, REACH, 9999), np.geomspace(REACH, 100 * REACH * divisor, 99_999)])
    error = np.abs(distances(divisor)[encode(x, divisor)] - x)
    assert error[x <= REACH].max() <= STEP / 2 * 1.001
    assert error[x <= REACH * divisor].max() <= STEP * divisor / 2 * 1.001
    assert (error[1:] / x[1:])[x[1:] > 0.1].max() <= STEP * 6


def extreme_rows(T=48):
    """Scores (1, n, T, T) of many kinds: flat, peaked, far apart, tied, tiny, huge, with a falling tail."""
    rng = np.random.default_rng(3)
    kinds = [rng.normal(size=(T, T)) * s for s in (0, 1e-6, 0.1, 3, 30, 300, 3000)]
    kinds += [rng.uniform(-60, 0, (T, T)), -np.arange(T) * np.ones((T, 1)) * 2.0, 1000 + rng.normal(size=(T, T)) * 20]
    kinds += [np.where(rng.random((T, T)) < 0.1, 80.0, rng.normal(size=(T, T))), rng.standard_cauchy((T, T)) * 5]
    kinds += [np.where(np.tri(T, dtype=bool), -200.0, 200.0) + rng.normal(size=(T, T)) * 20]
    return np.stack(kinds)[None].astype(np.float32)


@pytest.mark.parametrize("divisor", DIVISORS)
@pytest.mark.parametrize("scaled", [True, False], ids=["scaled", "unscaled"])
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "unmasked"])
def test_weights_are_right_to_three_digits_over_extreme_rows(divisor, scaled, masked):
    scores = extreme_rows()
    T, H = scores.shape[-1], scores.shape[1]
    halves = [pack(scores, np.array([divisor]), future) for future in (False, True)]
    view = FakeView([*names(T)], [0], H, halves, [divisor])
    keep = np.tri(T, dtype=bool) if masked else np.ones((T, T), bool)
    by = divisor if scaled else 1.0
    true, ours = (softmax(np.where(keep, z.astype(float) / by, -np.inf)) for z in (scores, unpacked(view)))
    shown = true >= 1e-6
    assert np.abs(ours / np.where(shown, true, 1) - 1)[shown].max() <= 5e-4
    assert np.abs(ours - true)[~shown].max() < 5e-8


class FakeView:
    """The traits that `unpacked` reads."""

    def __init__(self, tokens, layers, heads, halves, divisors):
        (self.past, first), (self.future, second) = halves
        self.tokens, self.layers, self.heads, self.tops, self.divisors = tokens, layers, heads, first + second, divisors


def test_scores_below_all_codes_stay_far_below():
    assert encode(np.array([1e9]), 8.0) == ABSENT - 1 and distances(8.0)[ABSENT - 1] > 10_000


# Models


def eager(model, tokenizer, text):
    """The weights of transformers' own eager attention: (L, H, T, T)."""
    model.set_attn_implementation("eager")
    with torch.no_grad():
        out = model(**tokenizer(text, return_tensors="pt"), output_attentions=True).attentions
    model.set_attn_implementation("sdpa")
    return torch.cat(out).numpy()


VARIANTS = [{}, {"scale_attn_weights": False}, {"scale_attn_by_inverse_layer_idx": True}, {"n_layer": 1, "n_head": 1}]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_weights_are_those_of_transformers(pocket, changes):
    model = make_tiny(initializer_range=0.3, **changes)
    view, ours = AttentionView(model, pocket[1], TEXT), eager(model, pocket[1], TEXT)
    np.testing.assert_allclose(view.attentions, ours, atol=1e-5)
    T = len(view.tokens)
    read = softmax(np.where(np.tri(T, dtype=bool), unpacked(view) / np.array(view.divisors)[:, None, None, None], -np.inf))
    shown = ours >= 1e-6
    assert np.abs(read / np.where(shown, ours, 1) - 1)[shown].max() < 1e-3


def test_pocket(pocket):
    view = AttentionView(*pocket, TEXT)
    np.testing.assert_allclose(view.attentions, eager(*pocket, TEXT), atol=1e-5)
    assert view.divisors == [math.sqrt(32)] * 6 and view.causal and view.mask and view.future
    assert (view.layer, view.head) == view.search("previous token")[0][:2]
    assert view.search("previous token")[0][2] > 0.3  # a trained model has such a head
    assert "".join(view.tokens) == TEXT


def test_any_gpt2_will_do(pocket):
    from transformers import GPT2ForSequenceClassification

    plain = make_tiny()
    whole = AttentionView(plain, pocket[1], TEXT)
    classifier = GPT2ForSequenceClassification(plain.config)
    classifier.transformer = plain.transformer
    for other in (plain.transformer, classifier, torch.nn.Sequential(plain)):
        assert AttentionView(other, pocket[1], TEXT).past == whole.past


def state_of(model):
    return {
        "training": [m.training for m in model.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        "attention": model.config._attn_implementation,
        "gradients": [p.requires_grad for p in model.parameters()],
        "parameters": [p.detach().clone() for p in model.parameters()],
    }


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.pop("parameters"), b.pop("parameters"))) and a == b


def test_model_is_left_as_it_was(pocket):
    model = make_tiny(dropout=0.5).train()
    model.transformer.h[0].eval()  # a state that one call of train() would not bring back
    model.transformer.wte.weight.requires_grad_(False)
    before, random = state_of(model), torch.get_rng_state()
    first, second = (AttentionView(model, pocket[1], TEXT) for _ in range(2))
    assert first.past == second.past  # no dropout
    assert same(before, state_of(model)) and torch.equal(random, torch.get_rng_state())


def test_model_is_left_as_it_was_after_an_error(pocket):
    model = make_tiny().train()
    model.transformer.h[1].mlp.forward = lambda x: 1 / 0
    before = state_of(model)
    with pytest.raises(ZeroDivisionError):
        AttentionView(model, pocket[1], TEXT)
    assert same(before, state_of(model))


def test_lower_precision_and_chosen_layers(pocket):
    model = make_tiny(n_layer=4, initializer_range=0.3)
    whole = AttentionView(model, pocket[1], TEXT)
    some = AttentionView(model, pocket[1], TEXT, layers=[3, 1])
    assert some.layers == [3, 1] and (some.attentions == whole.attentions[[3, 1]]).all()
    assert {it[0] for it in some.search("itself")} == {1, 3}
    half = AttentionView(model.to(torch.bfloat16), pocket[1], TEXT)
    assert np.abs(half.attentions - whole.attentions).mean() < 0.02


def test_tokens_are_text_and_never_lost(pocket):
    view = AttentionView(make_tiny(), pocket[1], " naïve 狐 <|endoftext|>\n")
    assert view.tokens[0].startswith(" n") and "<|endoftext|>" in view.tokens
    parts = [token for token in view.tokens if token.startswith("\\x")]
    assert len(parts) >= 2 and "\ufffd" not in "".join(view.tokens)
    assert bytes.fromhex("".join(parts).replace("\\x", "")).decode() in "ï狐"


# Patterns


def test_pairs_of_patterns():
    tokens = ["a", "b", "a", "b", "b"]
    assert pairs(tokens, "previous token") == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert pairs(tokens, "first token") == [(1, 0), (2, 0), (3, 0), (4, 0)]
    assert pairs(tokens, "itself") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert pairs(tokens, "same token") == [(2, 0), (3, 1), (4, 1), (4, 3)]
    assert pairs(tokens, "induction") == [(2, 1), (3, 2), (4, 2)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_head_made_for_a_pattern_is_found(pattern):
    tokens = ["x", "a", "b", "c", "a", "b", "c", "a"]
    T = len(tokens)
    weights = np.tile(np.tri(T) / np.arange(1, T + 1)[:, None], (2, 3, 1, 1))
    for i, j in reversed(pairs(tokens, pattern)):  # the first pair of a query stays
        weights[1, 2, i] = np.eye(T)[j]
    view = AttentionView(attentions=weights, tokens=tokens)
    layer, head, score = view.search(pattern)[0]
    assert (layer, head) == (1, 2) and score == pytest.approx(1)
    assert len(view.search(pattern)) == 6 and view.search(pattern)[1][2] < 0.6


def test_nothing_to_find():
    view = AttentionView(attentions=np.ones((1, 1, 1, 1)), tokens=["a"])
    assert all(view.search(pattern) == [] for pattern in PATTERNS)
    assert head_scores(raw(), names(5), "induction") is None
    assert "one token only" in repr(view) and view.static_png()
    with pytest.raises(DataError, match="'induction'"):
        view.search("inductive")


# Plain arrays


def test_arrays_travel_exactly_enough():
    weights = raw(T=40)
    weights[0, 0, 5] = np.eye(40)[2]  # with zeros
    weights[0, 1, 3, :4] = [1 - 3e-7, 1e-7, 1e-7, 1e-7]
    view = AttentionView(attentions=weights, tokens=names(40))
    read = np.exp(unpacked(view))
    assert view.causal and not view.future and view.divisors == []
    assert (read[weights == 0] == 0).all()
    assert np.abs(read / np.where(weights > 0, weights, 1) - 1)[weights > 1e-6].max() < 5e-4
    np.testing.assert_allclose(view.attentions, weights, atol=1e-12)


def test_weights_that_look_ahead():
    weights = raw(causal=False)
    view = AttentionView(attentions=weights, tokens=names(5))
    assert not view.causal and not view.mask and view.future
    assert np.abs(np.exp(unpacked(view)) / weights - 1).max() < 5e-4
    first = np.zeros((1, 1, 2, 2))
    first[..., 1] = 1  # all keys up to the query have weight 0
    assert np.exp(unpacked(AttentionView(attentions=first, tokens="ab".split() + ["b"]))[0, 0, 0]).tolist() == [0, 1]


def test_what_transformers_gives_is_taken():
    weights = raw()
    expected = AttentionView(attentions=weights, tokens=names(5)).past
    as_tensors = tuple(torch.tensor(layer[None]) for layer in weights)
    for given in (torch.tensor(weights), list(weights), as_tensors, torch.tensor(weights, requires_grad=True)):
        assert AttentionView(attentions=given, tokens=names(5)).past == expected or given is as_tensors
    assert AttentionView(attentions=as_tensors, tokens=names(5)).heads == 3
    assert AttentionView(attentions=torch.tensor(weights).half(), tokens=names(5)).heads == 3


# Size


def test_gpt2_small_with_64_tokens_is_below_a_megabyte(pocket):
    model = make_tiny(n_layer=12, n_head=12, n_embd=768, initializer_range=0.06)
    view = AttentionView(model, pocket[1], pocket[1].decode(list(range(300, 364))))
    assert (len(view.layers), view.heads, len(view.tokens)) == (12, 12, 64)
    data, _ = view._repr_mimebundle_()
    assert len(data["image/svg+xml"]) + len(data["image/png"]) < 120_000
    assert sent_bytes(view) <= 1_000_000
    assert not view.future  # the scores of later tokens would not fit; the browser asks for them
    answers = []
    view.send = lambda message, buffers: answers.append((message, buffers))
    view._handle_custom_msg({"kind": "future"}, [])
    view._handle_custom_msg({"kind": "else"}, [])
    (message, (codes, tops)), = answers
    assert message == {"kind": "future"} and len(codes) == 2 * 144 * 64 * 63 // 2 and len(tops) == 4 * 144 * 64
    view.mask = False


def test_scores_of_later_tokens_travel_where_they_fit(pocket):
    ids = pocket[1](TEXT * 40)["input_ids"]
    fits, many = (AttentionView(*pocket, pocket[1].decode(ids[:n])) for n in (79, 80))
    assert len(fits.tokens) == 79 and fits.future and not many.future
    assert sent_bytes(fits) <= 1_000_000


# The fallback


def test_picture_and_text(pocket):
    view = AttentionView(*pocket, TEXT)
    text = "".join(ET.fromstring(view.static_svg()).itertext())
    for part in ("6 layers x 8 heads", "previous token", "·king", f"Layer {view.layer}, head {view.head}"):
        assert part in text
    assert repr(view).startswith(f"AttentionView, 6 layers x 8 heads over {len(view.tokens)} tokens; clearest: previous")
    assert view.static_svg() == AttentionView(*pocket, TEXT).static_svg()
    data, metadata = view._repr_mimebundle_()
    assert "text/html" not in data and metadata["image/png"]["alt"] == repr(view)


def test_markup_in_tokens_is_data():
    view = AttentionView(attentions=raw(T=2), tokens=[MARKUP, "b"])
    assert "<script" not in view.static_svg() and MARKUP[:11] in "".join(ET.fromstring(view.static_svg()).itertext())


@pytest.mark.parametrize(("layers", "heads", "T"), [(1, 1, 1), (1, 1, 2), (40, 1, 3), (1, 30, 4), (3, 2, 200), (24, 16, 30)])
def test_picture_of_any_size(layers, heads, T):
    view = AttentionView(attentions=raw(layers, heads, T), tokens=names(T))
    root = ET.fromstring(view.static_svg())
    assert len(view.static_svg()) + len(base64.b64encode(view.static_png())) < 200_000
    height = float(root.get("height"))
    assert all(float(node.get("y")) < height for node in root.iter() if node.tag.endswith("text"))


def test_cells_are_runs_of_their_level():
    picture = Picture(20, 20, "cells")
    picture.cells((2, 3), 4, np.array([[0, 1, 1], [2, 0, 1]]), ("#aaaaaa", "#000000"))
    svg = picture.svg()
    assert 'd="M1 0h2M2 1h1" stroke="#aaaaaa"' in svg and 'd="M0 1h1" stroke="#000000"' in svg
    assert "translate(2 5) scale(4)" in svg


def test_png_shows_the_cells():
    from PIL import Image
    import io

    weights = np.zeros((1, 1, 8, 8))
    weights[..., 0] = 1
    png = Image.open(io.BytesIO(AttentionView(attentions=weights, tokens=names(8)).static_png())).convert("RGB")
    picture = np.asarray(png).astype(int)
    blue = (np.abs(picture - [0, 0x72, 0xB2]).sum(-1) < 30).sum()
    assert blue > 40 * 250 * 1.5  # the detail's first column, at least


def test_pooling_keeps_the_largest():
    weights = np.random.default_rng(0).random((2, 3, 50, 50))
    small = pooled(weights, 7)
    assert small.shape == (2, 3, 7, 7) and small.max() == weights.max() and small.min() > 0.5
    assert pooled(weights, 64) is weights


def test_blanks_are_visible():
    assert [visible(token) for token in (" a", "\n\n", "\t", "")] == ["·a", "⏎⏎", "⇥", "∅"]


# What is refused


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (dict(attentions=np.ones((3, 3)), tokens=names(3)), r"\(n_layer, n_heads, T, T\); received \(3, 3\)"),
        (dict(attentions=np.ones((1, 1, 3, 4)), tokens=names(3)), r"received \(1, 1, 3, 4\)"),
        (dict(attentions=raw(T=3), tokens=names(4)), "T = 3 strings, one a token; received 4"),
        (dict(attentions=raw(T=3)), "received NoneType"),
        (dict(attentions=raw(T=3), tokens="abc"), "received str"),
        (dict(attentions=np.ones((1, 2, 3, 3)), tokens=names(3)), "row 0 of layer 0, head 0 sums to 3.000"),
        (dict(attentions=raw(T=3).swapaxes(-1, -2), tokens=names(3)), "over the last axis"),
        (dict(attentions=-raw(T=3), tokens=names(3)), "apply the softmax first"),
        (dict(attentions=raw(T=3) * math.nan, tokens=names(3)), "NaN"),
        (dict(attentions=(None, None), tokens=names(3)), "set_attn_implementation"),
        (dict(attentions=[np.ones((1, 2, 2)), np.ones((1, 3, 3))], tokens=names(3)), "same shape"),
        (dict(attentions=raw(1, 1, 257), tokens=names(257)), "at most 256 tokens; received 257"),
        (dict(attentions=raw(4, 40, 200), tokens=names(200)), "4 MB .*layers"),
        (dict(attentions=raw(T=3), tokens=names(3), layer=7), "layer must be one of 0, 1; received 7"),
        (dict(attentions=raw(T=3), tokens=names(3), head=3), "head must be one of 0, 1, 2; received 3"),
        (dict(attentions=raw(T=3), tokens=names(3), layers=[5]), "from 0 to 1"),
        ({}, "either AttentionView"),
    ],
)
def test_bad_arrays_are_named(wrong, says):
    with pytest.raises(DataError, match=says):
        AttentionView(**wrong)


def test_bad_settings_are_named(pocket):
    view = AttentionView(attentions=raw(T=3), tokens=names(3))
    for name, value, says in [("layer", 2, "one of 0, 1; received 2"), ("head", -1, "received -1"), ("query", 3, "received 3"),
                              ("scale", False, "no scale"), ("mask", False, "no scores to unmask")]:
        with pytest.raises(DataError, match=says):
            setattr(view, name, value)
    view.query, view.layer, view.view = 2, 1, "matrix"
    with_scores = AttentionView(*pocket, TEXT)
    with_scores.mask = with_scores.scale = False


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "empty"), (None, "NoneType"), (["a"], "list"), ("a fox " * 50, "at most 64")],
)
def test_bad_texts_are_named(pocket, text, says):
    with pytest.raises(DataError, match=says):
        AttentionView(make_tiny(), pocket[1], text)


def test_other_models_and_vocabularies_are_named(pocket):
    with pytest.raises(ModelError, match="received Linear"):
        AttentionView(torch.nn.Linear(2, 2), pocket[1], TEXT)
    with pytest.raises(ModelError, match="received str"):
        AttentionView("gpt2", pocket[1], TEXT)
    with pytest.raises(DataError):
        AttentionView(make_tiny(vocab_size=50), pocket[1], TEXT)
    diverged = make_tiny()
    torch.nn.init.constant_(diverged.transformer.h[0].ln_1.weight, math.nan)
    with pytest.raises(ModelError, match="NaN or infinity"):
        AttentionView(diverged, pocket[1], TEXT)
    with pytest.raises(DataError, match="takes a tokenizer"):
        AttentionView(make_tiny(), TEXT, TEXT)
