"""Right answers written in another way than the reference pass, and hints are true of every way to their mistake."""

import numpy as np
import pytest
import torch

from bigmodel_nb import exercises


def padded_by(zeros):
    """A test of a model that appends this many zeros."""

    def perturbation_test(model, ids):
        rng = np.random.default_rng(0)
        y, mixes = model(ids), False
        for i in range(len(ids)):
            for _ in range(3):
                changed = ids.copy()
                changed[i] = rng.integers(1, ids.max() + 1, ids.shape[1])
                mixes |= bool(np.abs(np.delete(model(changed) - y, i, axis=0)).max(initial=0) > 1e-4)
        return mixes, bool(np.abs(model(np.pad(ids, ((0, 0), (0, zeros)))) - y).max() > 1e-4)

    return perturbation_test


@pytest.mark.parametrize("zeros", [1, 2, 3, 4, 6, 9])
def test_recurrent_networks_perturbation_test_may_append_any_number_of_zeros(zeros):
    verdict = exercises.check("recurrent_networks.perturbation_test", padded_by(zeros))
    assert verdict.status == "passed", verdict.text


def test_transformer_translation_leak_test_may_return_a_bool_of_numpy():
    def leak_test(predict, src, labels, vocab_size):
        y, stays = predict(src, labels).numpy(), []
        for t in range(labels.shape[1]):
            changed = labels.clone()
            changed[:, t:] = (changed[:, t:] + 1) % vocab_size
            stays.append(np.abs(predict(src, changed).numpy() - y)[:, : t + 1].max() <= 1e-5)
        return np.all(stays)

    verdict = exercises.check("transformer_translation.leak_test", leak_test)
    assert verdict.status == "passed", verdict.text


def test_gpt2_from_scratch_a_missing_name_is_named():
    right = exercises.reference("gpt2_from_scratch.load_state_dict")
    verdict = exercises.check(
        "gpt2_from_scratch.load_state_dict", lambda theirs: {n: t for n, t in right(theirs).items() if n != "norm.bias"}
    )
    assert verdict.status == "failed" and "'norm.bias'" in verdict.text


def test_gpt2_from_scratch_cache_agrees_is_false_for_nan():
    def model(ids, past):
        logits = torch.zeros(*ids.shape, 5)
        return (logits if past is None else logits * float("nan")), True

    assert exercises.reference("gpt2_from_scratch.cache_agrees")(model, torch.zeros(1, 3, dtype=torch.long)) is False


def clamped(predict, src, labels, vocab_size):
    y = predict(src, labels)
    for t in range(labels.shape[1]):
        changed = labels.clone()
        changed[:, t:] = (changed[:, t:] + 1).clamp(max=vocab_size - 1)
        if (predict(src, changed) - y)[:, : t + 1].abs().max() > 1e-5:
            return False
    return True


def size_alone(x, weight, bias, eps=1e-5):
    return x / (x.var(-1, correction=0, keepdim=True) + eps).sqrt() * weight + bias


def half_because_of_the_mask(vocab_size, d_model, n_layer, B, T):
    return 2 * B * T * (n_layer * (12 * d_model**2 + T * d_model) + vocab_size * d_model)


def zeroed_padding(outputs, lengths):
    words = torch.arange(outputs.shape[1]) < lengths[:, None]
    return (outputs * words[..., None])[:, -1]


UNTRUE = [  # a work, and what its hint must not say of it
    ("transformer_translation.leak_test", clamped, "same token"),
    ("gpt2_from_scratch.layer_norm", size_alone, "mean square"),
    ("gpt2_from_scratch.forward_flops", half_because_of_the_mask, "not both"),
    ("recurrent_networks.last_valid_state", zeroed_padding, "no effect"),
    ("attention.rows_sum_to_one", lambda f: bool(np.allclose(f(*np.zeros((2, 4, 3)), np.ones((4, 1))), 1)), "mean"),
]


@pytest.mark.parametrize("id, work, untrue", UNTRUE, ids=[id for id, _, _ in UNTRUE])
def test_hint_says_nothing_untrue(id, work, untrue):
    verdict = exercises.check(id, work)
    assert verdict.misconception and untrue not in verdict.hint


TEXTS = ["", " a", "a ", "a  b", "A\n\nB", "\t", "\u72fc \U0001f43a", "x" * 3000, "not 3 'd", "caf\u00e9", "\x00"]


def lossless_on(texts):
    def is_lossless(encode, decode):
        try:
            return all(decode(encode(text)) == text for text in texts)
        except Exception:
            return False

    return is_lossless


@pytest.mark.parametrize(
    "texts, told",
    [(TEXTS, "U+0301"), ([text.lower() for text in TEXTS] + ["e\u0301"], "capitals")],
)
def test_tokenization_is_lossless_hints_do_not_blame_the_comparison_for_a_missing_text(texts, told):
    verdict = exercises.check("tokenization.is_lossless", lossless_on(texts))
    assert verdict.status == "failed"
    assert told in verdict.hint and "You compare" not in verdict.hint
