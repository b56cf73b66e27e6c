"""Exercises of lesson 13."""

from __future__ import annotations

import copy
import math

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception


def pack_into_blocks(documents, block_size, eos_id):
    """Documents end to end as rows of inputs and labels.

    documents: list of lists of token ids; block_size, eos_id: int
    -> x, y: int64 numpy arrays (N, block_size); y[i, t] is the token that follows x[i, t]
    """
    stream = [eos_id]
    for document in documents:
        stream += [*document, eos_id]
    x, y = stream[:-1], stream[1:]
    missing = -len(x) % block_size
    x = x + [eos_id] * missing
    y = y + [-100] * missing
    return (
        np.array(x, dtype=np.int64).reshape(-1, block_size),
        np.array(y, dtype=np.int64).reshape(-1, block_size),
    )


def causal_lm_loss(logits, labels):
    """Mean negative log-likelihood, in nats per counted token.

    logits (B, T, V), labels (B, T) with -100 where nothing counts -> scalar tensor
    """
    log_probs = logits.log_softmax(dim=-1)  # (B, T, V)
    counted = labels != -100
    right = labels.masked_fill(~counted, 0).unsqueeze(-1)  # (B, T, 1)
    log_likelihood = log_probs.gather(-1, right).squeeze(-1)  # (B, T)
    return -log_likelihood[counted].mean()


def perplexity(losses, counts):
    """Perplexity of several texts together.

    losses: mean loss of each text in nats per token; counts: tokens of each text -> float
    """
    nats = sum(loss * count for loss, count in zip(losses, counts))
    return math.exp(nats / sum(counts))


def training_state(model, optimizer, step, generator):
    """Everything that a training run needs to go on as if it had never stopped, as copies.

    step: steps taken so far; generator: the torch.Generator that draws the batches
    -> {"model": ..., "optimizer": ..., "step": ..., "rng": ...}
    """
    return {
        "model": copy.deepcopy(model.state_dict()),
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "step": step,
        "rng": generator.get_state(),
    }


# pack_into_blocks


def _random_documents(rng, many=6, longest=12):
    lengths = rng.integers(1, longest, size=rng.integers(1, many))
    return [rng.integers(1, 90, size=n).tolist() for n in lengths]


def _pack_sample(rng):
    return _random_documents(rng), int(rng.integers(1, 8)), int(rng.integers(90, 99))


def _pack_oracle(documents, block_size, eos_id):
    """Token by token, with no slices."""
    pairs, before = [], eos_id
    for document in documents:
        for token in [*document, eos_id]:
            pairs.append((before, token))
            before = token
    while len(pairs) % block_size:
        pairs.append((eos_id, -100))
    x = np.zeros((len(pairs) // block_size, block_size), dtype=np.int64)
    y = np.zeros_like(x)
    for place, (inputs, label) in enumerate(pairs):
        x[divmod(place, block_size)], y[divmod(place, block_size)] = inputs, label
    return x, y


def _check_pack_by_hand(attempt):
    x = np.array([[0, 5, 6], [0, 7, 0]])
    y = np.array([[5, 6, 0], [7, 0, -100]])
    case = ([[5, 6], [7]], 3, 0)
    why = "The stream is 0 5 6 0 7 0: x is all but its last token, y all but its first."
    attempt.expect(case, (x.astype(np.int64), y.astype(np.int64)), why)


def _check_pack_full_rows(attempt):
    case = ([[5, 6, 7], [8, 9, 10]], 4, 1)
    attempt.expect(case, _pack_oracle(*case), "Here the last row is full: no row of padding.")


def _check_pack_edges(attempt):
    for case, why in (
        (([[5]], 8, 2), "One short document."),
        (([list(range(3, 30))], 1, 2), "Blocks of one token."),
        (([[4, 5], [], [6]], 3, 2), "An empty document still has its end mark."),
        (([[3, 9, 3]], 2, 9), "A token of the document may be the end mark itself."),
        (([[3, 9, 3], [5]], 4, 0), "The end mark may be 0."),
        (([], 4, 2), "No documents: arrays of shape (0, block_size)."),
    ):
        attempt.expect(case, _pack_oracle(*case), why)


def _check_pack_random(attempt):
    rng = np.random.default_rng(1)
    for _ in range(20):
        case = _pack_sample(rng)
        attempt.expect(case, _pack_oracle(*case))


def _check_pack_counts(attempt):
    rng = np.random.default_rng(2)
    documents = _random_documents(rng, many=30, longest=40)
    _, y = attempt(documents, 16, 99)
    counted, expected = int((y >= 0).sum()), sum(len(d) + 1 for d in documents)
    if counted != expected:
        text = f"Your y counts {counted} tokens; expected {expected}: each token and end mark once."
        raise Failed(text, (documents, 16, 99))


def _pack_probes():
    return [
        ([[5, 6, 7], [8, 9], [10, 11, 12, 13, 14]], 4, 2),
        ([[21, 22, 23, 24, 25, 26, 27], [28, 29, 30], [31]], 3, 1),
        ([[41, 42], [43, 44, 45, 46, 47, 48, 49, 50, 51], [52, 53], [54]], 5, 3),
    ]


def _stream(documents, eos_id):
    stream = [eos_id]
    for document in documents:
        stream += [*document, eos_id]
    return stream


def _rows(x, y, block_size, pad_x, pad_y=-100):
    length = -(-max(len(x), len(y)) // block_size) * block_size
    x = x + [pad_x] * (length - len(x))
    y = y + [pad_y] * (length - len(y))
    return np.array(x).reshape(-1, block_size), np.array(y).reshape(-1, block_size)


def _labels_equal_inputs(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)[:-1]
    return _rows(stream, stream, block_size, eos_id)


def _labels_equal_inputs_whole_stream(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream, stream, block_size, eos_id)


def _shifted_twice(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream[:-1], stream[2:], block_size, eos_id)


def _shifted_twice_and_shorter(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream[:-2], stream[2:], block_size, eos_id)


def _last_row_dropped(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    whole = (len(stream) - 1) // block_size * block_size
    return _rows(stream[:whole], stream[1 : whole + 1], block_size, eos_id)


def _no_separator(documents, block_size, eos_id):
    stream = [eos_id, *(token for document in documents for token in document), eos_id]
    return _rows(stream[:-1], stream[1:], block_size, eos_id)


def _no_marks_at_all(documents, block_size, eos_id):
    stream = [token for document in documents for token in document]
    return _rows(stream[:-1], stream[1:], block_size, eos_id)


def _no_separator_mark_at_end(documents, block_size, eos_id):
    stream = [*(token for document in documents for token in document), eos_id]
    return _rows(stream[:-1], stream[1:], block_size, eos_id)


def _no_separator_mark_at_start(documents, block_size, eos_id):
    stream = [eos_id, *(token for document in documents for token in document)]
    return _rows(stream[:-1], stream[1:], block_size, eos_id)


def _token_lost_at_borders(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    x, y = [], []
    for start in range(0, len(stream) - 1, block_size + 1):
        chunk = stream[start : start + block_size + 1]
        x += chunk[:-1]
        y += chunk[1:]
    return _rows(x, y, block_size, eos_id)


def _token_lost_and_last_dropped(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    whole = len(stream) // (block_size + 1) * (block_size + 1)
    chunks = np.array(stream[:whole]).reshape(-1, block_size + 1)
    return chunks[:, :-1], chunks[:, 1:]


def _label_missing_at_borders(documents, block_size, eos_id):
    x, _ = pack_into_blocks(documents, block_size, eos_id)
    y = np.full_like(x, -100)
    y[:, :-1] = x[:, 1:]
    return x, y


def _padding_labelled(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream[:-1], stream[1:], block_size, eos_id, pad_y=eos_id)


def _padding_labelled_zero(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream[:-1], stream[1:], block_size, eos_id, pad_y=0)


def _inputs_padded_with_zero(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream[:-1], stream[1:], block_size, 0)


def _inputs_padded_with_ignore(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream[:-1], stream[1:], block_size, -100)


def _shifted_the_wrong_way(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)
    return _rows(stream[1:], stream[:-1], block_size, eos_id)


def _no_first_mark(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)[1:]
    return _rows(stream[:-1], stream[1:], block_size, eos_id)


def _no_last_mark(documents, block_size, eos_id):
    stream = _stream(documents, eos_id)[:-1]
    return _rows(stream[:-1], stream[1:], block_size, eos_id)


def _end_marks_ignored(documents, block_size, eos_id):
    x, y = pack_into_blocks(documents, block_size, eos_id)
    return x, np.where(y == eos_id, -100, y)


def _row_for_each_document(documents, block_size, eos_id):
    packed = [pack_into_blocks([document], block_size, eos_id) for document in documents]
    return np.concatenate([x for x, _ in packed]), np.concatenate([y for _, y in packed])


_PACK_MISCONCEPTIONS = (
    Misconception(
        "labels_equal_inputs",
        _labels_equal_inputs,
        "Your y repeats x: the model would be rewarded for copying. Which token should it predict "
        "after it has seen x[i, t]? (Some libraries shift inside the model; this loss does not.)",
        also=(_labels_equal_inputs_whole_stream,),
    ),
    Misconception(
        "shifted_twice",
        _shifted_twice,
        "Your y runs two tokens ahead of x. How often have you shifted, and how far is the next "
        "token away?",
        also=(_shifted_twice_and_shorter,),
    ),
    Misconception(
        "shifted_the_wrong_way",
        _shifted_the_wrong_way,
        "Your y[i, t] is the token *before* x[i, t]. Which end of the stream must x lose, and "
        "which end y?",
    ),
    Misconception(
        "last_row_dropped",
        _last_row_dropped,
        "The tokens of the last, incomplete row are gone. How can a row be filled up so that the "
        "loss does not count what you add?",
    ),
    Misconception(
        "no_mark_between_documents",
        _no_separator,
        "Your documents run into each other. What tells the model that one text ended and "
        "another begins?",
        also=(_no_separator_mark_at_end, _no_separator_mark_at_start, _no_marks_at_all),
    ),
    Misconception(
        "token_lost_at_borders",
        _token_lost_at_borders,
        "At each border of a row one token is never predicted. The last label of a row and the "
        "first input of the next: are they one and the same token of the stream?",
        also=(_token_lost_and_last_dropped, _label_missing_at_borders),
    ),
    Misconception(
        "padding_is_counted",
        _padding_labelled,
        "The places that you filled up have a real token as label, so the loss counts them. Which "
        "label does the loss ignore?",
        also=(_padding_labelled_zero,),
    ),
    Misconception(
        "inputs_padded_with_another_token",
        _inputs_padded_with_zero,
        "Your y is right. With which token does the text ask you to fill up x?",
        also=(_inputs_padded_with_ignore,),
    ),
    Misconception(
        "no_first_mark",
        _no_first_mark,
        "The first token of the first document is never predicted. What could the model see "
        "before it?",
    ),
    Misconception(
        "no_last_mark",
        _no_last_mark,
        "The end of the last document is never predicted. Does every document have its own mark?",
    ),
    Misconception(
        "end_marks_not_counted",
        _end_marks_ignored,
        "Your labels skip the end marks, so the model would never learn to stop. Which labels "
        "only are -100?",
    ),
    Misconception(
        "a_row_for_each_document",
        _row_for_each_document,
        "Each of your documents begins a new row, so most of a row may be padding. What would one "
        "single stream, cut afterwards, look like?",
    ),
)


# causal_lm_loss


def _loss_case(rng, B=None, T=None, V=None, ignored=0.3, scale=2.0, dtype="float32"):
    import torch

    B, T, V = B or int(rng.integers(1, 4)), T or int(rng.integers(3, 7)), V or int(rng.integers(2, 9))
    logits = torch.tensor(rng.normal(size=(B, T, V)) * scale, dtype=getattr(torch, dtype))
    labels = rng.integers(0, V, size=(B, T))
    labels[rng.random((B, T)) < ignored] = -100
    labels[:, 0] = rng.integers(0, V, size=B)
    return logits, torch.tensor(labels)


def _loss_sample(rng):
    return _loss_case(rng)


def _loss_oracle(logits, labels):
    import torch.nn.functional as F

    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def _check_loss_by_hand(attempt):
    import torch

    logits = torch.tensor([[[0.0, 0.0], [0.0, math.log(3.0)]]])
    labels = torch.tensor([[0, 1]])
    why = "The right tokens have the probabilities 1/2 and 3/4."
    attempt.expect((logits, labels), torch.tensor((math.log(2) + math.log(4 / 3)) / 2), why)


def _check_loss_random(attempt):
    rng = np.random.default_rng(3)
    for dtype in ("float32", "float64") * 8:
        case = _loss_case(rng, dtype=dtype)
        attempt.expect(case, _loss_oracle(*case))


def _check_loss_ignores(attempt):
    rng = np.random.default_rng(4)
    logits, labels = _loss_case(rng, B=3, T=6, V=5, ignored=0.7)
    attempt.expect((logits, labels), _loss_oracle(logits, labels), "Most labels here are -100.")
    changed = logits.masked_fill((labels == -100).unsqueeze(-1), 7.5)
    why = "Only logits at ignored places changed, so the loss may not change."
    attempt.expect((changed, labels), _loss_oracle(logits, labels), why)


def _check_loss_edges(attempt):
    rng = np.random.default_rng(5)
    for sizes in ({"B": 1, "T": 1}, {"B": 4, "T": 1}, {"B": 1, "T": 9, "V": 2}, {"V": 300}):
        case = _loss_case(rng, **sizes, ignored=0.0)
        attempt.expect(case, _loss_oracle(*case))
    case = _loss_case(rng, scale=500.0)
    attempt.expect(case, _loss_oracle(*case), "Logits in the hundreds must not overflow.")
    case = _loss_case(rng, B=3, T=4, V=6)
    case[1][1] = -100
    attempt.expect(case, _loss_oracle(*case), "The second row has no counted token at all.")


def loss_gradient(fn, logits, labels):
    logits = logits.detach().requires_grad_()
    loss = fn(logits, labels)
    if not loss.requires_grad:
        raise Failed("Your loss has no gradient. Stay with torch operations; no .item() or .detach().")
    loss.backward()
    return logits.grad


def _check_loss_gradient(attempt):
    rng = np.random.default_rng(6)
    for _ in range(4):
        case = _loss_case(rng)
        expected = loss_gradient(_loss_oracle, *case)
        attempt.expect(case, expected, "This is the gradient of your loss.", drive=loss_gradient)


def _loss_probes():
    rng = np.random.default_rng(7)
    return [
        _loss_case(rng, B=2, T=6, V=5, ignored=0.4),
        _loss_case(rng, B=3, T=5, V=7, ignored=0.3),
        _loss_case(rng, B=3, T=4, V=4, ignored=0.4, scale=1.0),
    ]


def _picked(logits, labels, log_probs=None):
    """Log-probability of each label, and which labels count."""
    log_probs = logits.log_softmax(-1) if log_probs is None else log_probs
    right = labels.clamp(min=0).unsqueeze(-1)
    return log_probs.gather(-1, right).squeeze(-1), labels != -100


def _loss_shifted_again(logits, labels):
    return _loss_oracle(logits[:, :-1], labels[:, 1:])


def _loss_ignored_counted_as_token_0(logits, labels):
    return -_picked(logits, labels)[0].mean()


def _loss_ignored_counted_as_last_token(logits, labels):
    return _loss_oracle(logits, labels.masked_fill(labels < 0, logits.shape[-1] - 1))


def _loss_mean_over_all_places(logits, labels):
    chosen, counted = _picked(logits, labels)
    return -(chosen * counted).sum() / labels.numel()


def _loss_mean_of_row_means(logits, labels):
    chosen, counted = _picked(logits, labels)
    return -((chosen * counted).sum(1) / counted.sum(1)).mean()


def _loss_double_softmax(logits, labels):
    return _loss_oracle(logits.softmax(-1), labels)


def _loss_sum(logits, labels):
    chosen, counted = _picked(logits, labels)
    return -chosen[counted].sum()


def _loss_sum_over_rows(logits, labels):
    return _loss_sum(logits, labels) / labels.shape[0]


def _loss_sign(logits, labels):
    return -_loss_oracle(logits, labels)


def _loss_bits(logits, labels):
    return _loss_oracle(logits, labels) / math.log(2)


def _loss_no_log(logits, labels):
    chosen, counted = _picked(logits, labels, logits.softmax(-1))
    return -chosen[counted].mean()


def _loss_one_minus_probability(logits, labels):
    return 1 + _loss_no_log(logits, labels)


def _loss_log_of_mean(logits, labels):
    chosen, counted = _picked(logits, labels, logits.softmax(-1))
    return -chosen[counted].mean().log()


def _loss_no_softmax(logits, labels):
    chosen, counted = _picked(logits, labels, logits)
    return -chosen[counted].mean()


def _loss_softmax_over_places(logits, labels):
    chosen, counted = _picked(logits, labels, logits.log_softmax(1))
    return -chosen[counted].mean()


_LOSS_MISCONCEPTIONS = (
    Misconception(
        "shifted_again",
        _loss_shifted_again,
        "You compare logits[:, t] with labels[:, t + 1]. The labels are already those of the next "
        "token: who shifted them?",
    ),
    Misconception(
        "ignored_places_counted",
        _loss_ignored_counted_as_token_0,
        "Places with label -100 enter your loss as if they had a real label. How can they be left "
        "out, of the sum and of the count?",
        also=(_loss_ignored_counted_as_last_token,),
    ),
    Misconception(
        "divided_by_all_places",
        _loss_mean_over_all_places,
        "Your sum is right, but you divide it by all B * T places. How many of them count?",
    ),
    Misconception(
        "mean_of_row_means",
        _loss_mean_of_row_means,
        "You average within each row and then over the rows. Does a token in a short row then "
        "weigh as much as one in a long row?",
    ),
    Misconception(
        "softmax_twice",
        _loss_double_softmax,
        "Your loss is too near to log(V). Does the function you use take logits or "
        "probabilities, and what did you give it?",
    ),
    Misconception(
        "sum_instead_of_mean",
        _loss_sum,
        "Your loss grows with the number of tokens. Nats in total, or nats per token?",
        also=(_loss_sum_over_rows,),
    ),
    Misconception(
        "sign_missing",
        _loss_sign,
        "Your loss is negative, and better predictions make it larger. What is the sign of the "
        "logarithm of a probability?",
    ),
    Misconception(
        "bits_instead_of_nats",
        _loss_bits,
        "Your loss is 1.4427 times too large, everywhere. Which base has your logarithm?",
    ),
    Misconception(
        "no_logarithm",
        _loss_no_log,
        "You average probabilities. What should a probability of one in a million cost, and what "
        "does it cost in your formula?",
        also=(_loss_one_minus_probability,),
    ),
    Misconception(
        "logarithm_of_the_mean",
        _loss_log_of_mean,
        "You average the probabilities and then take the logarithm. Is that the mean of the "
        "logarithms?",
    ),
    Misconception(
        "no_softmax",
        _loss_no_softmax,
        "You average the logits of the right tokens. Would your loss change if every logit grew "
        "by 1? Should it?",
    ),
    Misconception(
        "softmax_over_places",
        _loss_softmax_over_places,
        "Your probabilities sum to 1 over the places of a row. Over which of the axes (B, T, V) "
        "does a prediction share out its 1?",
    ),
)


# perplexity


def _perplexity_sample(rng):
    n = int(rng.integers(1, 6))
    return [float(x) for x in rng.uniform(0.1, 3, n)], [int(c) for c in rng.integers(1, 20, n)]


def _perplexity_oracle(losses, counts):
    return float(np.exp(np.average(np.array(losses, float), weights=np.array(counts, float))))


def _check_perplexity_by_hand(attempt):
    why = "Three tokens at probability 1/2 and one at 1/32: (2 * 2 * 2 * 32) to the power 1/4."
    attempt.expect(([math.log(2), math.log(32)], [3, 1]), 4.0, why)


def _check_perplexity_one_text(attempt):
    attempt.expect(([math.log(7)], [5]), 7.0, "One text whose tokens all have probability 1/7.")
    attempt.expect(([0.0, 0.0], [3, 4]), 1.0, "A loss of 0: no surprise at all.")


def _check_perplexity_random(attempt):
    rng = np.random.default_rng(8)
    for _ in range(20):
        case = _perplexity_sample(rng)
        attempt.expect(case, _perplexity_oracle(*case))


def _check_perplexity_split(attempt):
    """Cutting a text in two pieces of the same loss changes nothing."""
    whole = attempt([2.0, 1.0], [10, 6])
    attempt.expect(([2.0, 2.0, 1.0], [4, 6, 6]), float(whole), "The first text was only cut in two.")


def _check_perplexity_large(attempt):
    case = ([3.2, 4.1, 2.9], [250_000, 1_000_000, 40_000])
    attempt.expect(case, _perplexity_oracle(*case), "A million tokens must not overflow.")


def _perplexity_probes():
    return [([0.5, 2.0, 1.2], [3, 1, 2]), ([1.5, 0.3], [1, 4]), ([0.9, 0.2, 1.1, 0.6], [2, 3, 1, 5])]


def _mean(values):
    return sum(values) / len(values)


def _weighted(values, weights):
    return sum(v * w for v, w in zip(values, weights)) / sum(weights)


_PERPLEXITY_MISCONCEPTIONS = (
    Misconception(
        "mean_of_perplexities",
        lambda losses, counts: _weighted([math.exp(loss) for loss in losses], counts),
        "You average perplexities. Losses add up over tokens; do perplexities?",
        also=(lambda losses, counts: _mean([math.exp(loss) for loss in losses]),),
    ),
    Misconception(
        "texts_weighted_equally",
        lambda losses, counts: math.exp(_mean(losses)),
        "Each text has the same weight in your mean. Should a text of 10 tokens count as much as "
        "one of 1,000?",
    ),
    Misconception(
        "base_2",
        lambda losses, counts: 2 ** _weighted(losses, counts),
        "You raise 2 to the loss. The losses are in nats: which base belongs to them?",
        also=(lambda losses, counts: math.exp(_weighted(losses, counts) / math.log(2)),),
    ),
    Misconception(
        "sum_not_divided",
        lambda losses, counts: math.exp(sum(loss * count for loss, count in zip(losses, counts))),
        "You take the exponential of a sum. Perplexity is per token: what must the total be "
        "divided by?",
        also=(lambda losses, counts: math.exp(sum(losses)),),
    ),
    Misconception(
        "divided_by_texts",
        lambda losses, counts: math.exp(
            sum(loss * count for loss, count in zip(losses, counts)) / len(losses)
        ),
        "You weight each loss by its tokens but divide by the number of texts. How many things did "
        "you add up?",
    ),
    Misconception(
        "exp_forgotten",
        lambda losses, counts: _weighted(losses, counts),
        "That is the mean loss in nats. What turns it into a number of equally likely choices?",
        also=(lambda losses, counts: _mean(losses),),
    ),
    Misconception(
        "sign_wrong",
        lambda losses, counts: math.exp(-_weighted(losses, counts)),
        "Your result is below 1: it is a mean probability. What is its relation to perplexity?",
    ),
    Misconception(
        "weights_squared",
        lambda losses, counts: math.exp(_weighted(losses, [count**2 for count in counts])),
        "Long texts weigh too much: their tokens enter twice. Are the losses you get sums or means?",
    ),
    Misconception(
        "losses_taken_as_sums",
        lambda losses, counts: math.exp(sum(losses) / sum(counts)),
        "You divide the sum of the losses by all tokens, as if each loss were the total of its "
        "text. It is a mean already: how do you get the total back?",
    ),
)


# resume_equality

LEARNING_RATES = (0.6, 0.5, 0.4, 0.32, 0.25, 0.2, 0.16, 0.12, 0.1, 0.08, 0.06)


def new_run(seed):
    """A tiny model with a buffer, its optimizer, and the generator of its batches."""
    import torch

    class Scaled(torch.nn.Module):
        """A linear map of inputs that are divided by their running size."""

        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 1)
            self.register_buffer("size", torch.tensor(1.0))

        def forward(self, x):
            with torch.no_grad():
                self.size.mul_(0.8).add_(0.2 * x.abs().mean())
            return self.linear(x / self.size)

    model = Scaled()
    weights = torch.Generator().manual_seed(seed + 1000)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=weights))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATES[0], weight_decay=0.1)
    return model, optimizer, generator


def train_steps(model, optimizer, generator, start, stop):
    """Steps start to stop - 1 of a run, and the loss of each."""
    import torch

    losses = []
    for step in range(start, stop):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATES[step % len(LEARNING_RATES)]
        x = torch.randn(4, 3, generator=generator)
        loss = (model(3 * x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def stopped_run(seed, before, more):
    """model, optimizer, step, generator after `before` steps: what `training_state` is given."""
    model, optimizer, generator = new_run(seed)
    train_steps(model, optimizer, generator, 0, before)
    return model, optimizer, before, generator


def resumed_losses(training_state, seed, before, more):
    """Losses of the steps after a resume; training went on between saving and resuming."""
    import torch

    torch.manual_seed(seed)  # some learners save the global generator
    model, optimizer, step, generator = stopped_run(seed, before, more)
    state = training_state(model, optimizer, step, generator)
    train_steps(model, optimizer, generator, before, before + more)
    model, optimizer, generator = new_run(seed)
    step = _restore(state, model, optimizer, generator)
    return train_steps(model, optimizer, generator, step, step + more)


def _restore(state, model, optimizer, generator) -> int:
    if not isinstance(state, dict):
        raise Failed(f"Your result is a {type(state).__name__}; expected a dict.")
    step, rng = state.get("step"), state.get("rng")
    if state.get("model"):
        _load("model.load_state_dict", lambda s: model.load_state_dict(s, strict=False), state["model"])
    moments = state.get("optimizer")
    if moments and not (isinstance(moments, dict) and not moments.get("state")):
        _load("optimizer.load_state_dict", optimizer.load_state_dict, moments)
    if rng is not None and not isinstance(rng, int):
        _load("generator.set_state", generator.set_state, rng)
    elif isinstance(rng, int):
        generator.manual_seed(rng)
    return 0 if step is None else int(step)


def _load(name, load, value):
    try:
        load(value)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Failed(f"{name} can't take what you saved for it: {reason}") from error


def _uninterrupted_losses(seed, before, more):
    model, optimizer, generator = new_run(seed)
    return train_steps(model, optimizer, generator, 0, before + more)[before:]


def _check_keys(attempt):
    def keys(training_state, *case):
        state = training_state(*stopped_run(*case))
        if not isinstance(state, dict):
            raise Failed(f"Your result is a {type(state).__name__}; expected a dict.")
        return sorted(map(str, state))

    expected = sorted(("model", "optimizer", "step", "rng"))
    case = (0, 3, 2)
    missing = [key for key in expected if key not in attempt(*case, drive=keys)]
    if missing:
        raise Failed(f"Your dict has no key {', '.join(map(repr, missing))}.", case)
    attempt.expect(case, expected, "Those are the keys.", drive=keys)


def _check_step(attempt):
    def step(training_state, *case):
        return training_state(*stopped_run(*case))["step"]

    for before in (3, 0, 5):
        attempt.expect((1, before, 2), before, "This is your state['step'].", drive=step)


def _check_resumed(attempt):
    why = "These are the losses after resuming, beside those of a run that was never stopped."
    for case in ((2, 3, 3), (3, 1, 4), (4, 6, 3)):
        attempt.expect(case, _uninterrupted_losses(*case), why)


def _check_complete(attempt):
    """The model's part is all of its state, buffers too, under the right names."""

    def names(training_state, *case):
        return sorted(training_state(*stopped_run(*case))["model"])

    expected = ["linear.bias", "linear.weight", "size"]
    attempt.expect((5, 2, 1), expected, "These are the names in your state['model'].", drive=names)


def _check_unchanged_run(attempt):
    """Saving may not disturb the run that is saved."""

    def losses(training_state, *case):
        model, optimizer, step, generator = stopped_run(*case)
        training_state(model, optimizer, step, generator)
        return train_steps(model, optimizer, generator, step, step + 3)

    case = (6, 4, 3)
    why = "Saving changed the run that goes on: these are its losses."
    attempt.expect(case, _uninterrupted_losses(*case), why, drive=losses)


def _check_twice(attempt):
    """An earlier checkpoint stays as it was when a later one is taken."""

    def first_losses(training_state, seed, before, more):
        model, optimizer, step, generator = stopped_run(seed, before, more)
        state = training_state(model, optimizer, step, generator)
        train_steps(model, optimizer, generator, before, before + more)
        training_state(model, optimizer, before + more, generator)
        model, optimizer, generator = new_run(seed)
        step = _restore(state, model, optimizer, generator)
        return train_steps(model, optimizer, generator, step, step + more)

    case = (7, 3, 4)
    why = "A second checkpoint changed the first: these are the losses resumed from the first."
    attempt.expect(case, _uninterrupted_losses(*case), why, drive=first_losses)


def _resume_sample(rng):
    return int(rng.integers(100)), int(rng.integers(1, 7)), 4


def _resume_probes():
    return [(11, 3, 3), (12, 5, 3)]


def _but(wrong):
    """The right state, with the entries of `wrong(model, optimizer, step, generator)` in it."""
    return lambda *run: {**training_state(*run), **wrong(*run)}


def _parameters_only(model, optimizer, step, generator):
    return {"model": {name: value.detach().clone() for name, value in model.named_parameters()}}


def _global_rng(model, optimizer, step, generator):
    import torch

    return {"rng": torch.get_rng_state()}


_RESUME_MISCONCEPTIONS = (
    Misconception(
        "references_instead_of_copies",
        _but(lambda m, o, s, g: {"model": m.state_dict(), "optimizer": o.state_dict()}),
        "state_dict() hands out the live tensors, and training goes on changing them in place. "
        "When is your checkpoint's content decided: at the save, or later?",
        also=(_but(lambda m, o, s, g: {"model": m.state_dict()}),),
    ),
    Misconception(
        "optimizer_by_reference",
        _but(lambda m, o, s, g: {"optimizer": o.state_dict()}),
        "The weights are copied; the optimizer's moments are still the live ones. Does "
        "optimizer.state_dict() copy its tensors?",
    ),
    Misconception(
        "optimizer_missing",
        _but(lambda m, o, s, g: {"optimizer": None}),
        "The first resumed step has the right loss, the next ones drift. AdamW remembers something "
        "of all earlier gradients: where is that in your dict?",
    ),
    Misconception(
        "rng_missing",
        _but(lambda m, o, s, g: {"rng": None}),
        "The resumed run sees other batches: the first ones again. What decides which batch "
        "comes next?",
    ),
    Misconception(
        "global_rng_saved",
        _but(_global_rng),
        "You saved torch's global generator. Which generator draws the batches here?",
    ),
    Misconception(
        "step_missing",
        _but(lambda m, o, s, g: {"step": None}),
        "The resumed run begins its learning-rate schedule anew. How does it know how far it was?",
    ),
    Misconception(
        "step_one_too_far",
        _but(lambda m, o, s, g: {"step": s + 1}),
        "The resumed run is one step ahead in its schedule. `step` counts steps already taken, and "
        "steps are numbered from 0: which number has the next one?",
    ),
    Misconception(
        "step_one_too_early",
        _but(lambda m, o, s, g: {"step": s - 1}),
        "The resumed run repeats a step of its schedule. `step` counts the steps already taken; is "
        "there anything to subtract?",
    ),
    Misconception(
        "buffers_missing",
        _but(_parameters_only),
        "The parameters are there. A model may also hold state that no gradient changes, such as "
        "running means: which method returns both?",
    ),
    Misconception(
        "model_missing",
        _but(lambda m, o, s, g: {"model": None}),
        "The resumed run has the weights of a new model. What should state['model'] hold?",
    ),
)

EXERCISES = (
    Exercise(
        id="finetune_gpt2.pack_into_blocks",
        reference=pack_into_blocks,
        difficulty=3,
        minutes=15,
        section="From text to training rows",
        returns=("x", "y"),
        hints=(
            "First make one list: eos, the first document, eos, the second, eos, and so on to a "
            "last eos. Rows come afterwards.",
            "x is that stream without its last token, y without its first. Both have the same "
            "length, and y[t] follows x[t].",
            "Fill up to a multiple of block_size: x with eos_id, y with -100, then "
            "np.array(..., dtype=np.int64).reshape(-1, block_size). `-len(x) % block_size` is the "
            "number that is missing.",
        ),
        checks=(
            Check("two documents by hand", _check_pack_by_hand),
            Check("rows that are full", _check_pack_full_rows),
            Check("edge cases", _check_pack_edges),
            Check("random documents", _check_pack_random),
            Check("every token once", _check_pack_counts),
        ),
        misconceptions=_PACK_MISCONCEPTIONS,
        probes=_pack_probes,
        sample=_pack_sample,
    ),
    Exercise(
        id="finetune_gpt2.causal_lm_loss",
        reference=causal_lm_loss,
        difficulty=3,
        minutes=12,
        section="The loss",
        hints=(
            "Log-probabilities first: log_softmax over the vocabulary, the last axis.",
            "Pick the log-probability of each label with gather. -100 is no index, so replace it "
            "by any token before you pick, and leave those places out afterwards.",
            "counted = labels != -100; the loss is minus the mean of the picked values where "
            "counted is true.",
        ),
        checks=(
            Check("two tokens by hand", _check_loss_by_hand),
            Check("random logits against torch", _check_loss_random),
            Check("ignored places", _check_loss_ignores),
            Check("edge cases", _check_loss_edges),
            Check("gradient", _check_loss_gradient),
        ),
        misconceptions=_LOSS_MISCONCEPTIONS,
        probes=_loss_probes,
        sample=_loss_sample,
        seconds=8.0,
    ),
    Exercise(
        id="finetune_gpt2.perplexity",
        reference=perplexity,
        difficulty=2,
        minutes=6,
        section="Perplexity, before",
        hints=(
            "Perplexity is the exponential of the mean loss per token, over all tokens of all "
            "texts.",
            "A mean loss times its number of tokens is the total of that text, in nats.",
            "Add the totals, divide by the sum of the counts, and take math.exp of it.",
        ),
        checks=(
            Check("two texts by hand", _check_perplexity_by_hand),
            Check("one text", _check_perplexity_one_text),
            Check("random texts", _check_perplexity_random),
            Check("a text cut in two", _check_perplexity_split),
            Check("many tokens", _check_perplexity_large),
        ),
        misconceptions=_PERPLEXITY_MISCONCEPTIONS,
        probes=_perplexity_probes,
        sample=_perplexity_sample,
    ),
    Exercise(
        id="finetune_gpt2.resume_equality",
        reference=training_state,
        difficulty=3,
        minutes=12,
        section="Stop and go on",
        hints=(
            "Four things decide the next step: the weights, what the optimizer remembers, how far "
            "the schedule is, and which batch comes next.",
            "model.state_dict(), optimizer.state_dict(), step, generator.get_state(): one for each "
            "key.",
            "The two state_dicts hold the live tensors. copy.deepcopy them.",
        ),
        checks=(
            Check("keys", _check_keys),
            Check("step", _check_step),
            Check("losses after resuming", _check_resumed),
            Check("all of the model", _check_complete),
            Check("saving changes nothing", _check_unchanged_run),
            Check("two checkpoints", _check_twice),
        ),
        misconceptions=_RESUME_MISCONCEPTIONS,
        probes=_resume_probes,
        sample=_resume_sample,
        drive=resumed_losses,
        arguments=stopped_run,
        seconds=8.0,
    ),
)
