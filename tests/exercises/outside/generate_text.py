"""Wrong answers that no misconception describes."""

import math

import torch

from bigmodel_nb.exercises.generate_text import (
    beam_step,
    greedy_step,
    is_generation,
    repetition_penalty,
    sample_loop,
    top_k_filter,
    top_p_filter,
)

# greedy_step


def second_best(model, ids):
    return torch.cat([ids, model(ids)[:, -1].topk(2).indices[:, 1:]], 1)


def two_steps(model, ids):
    return greedy_step(model, greedy_step(model, ids))


def as_a_list(model, ids):
    return greedy_step(model, ids).tolist()


def in_float(model, ids):
    return greedy_step(model, ids).float()


def text_reversed(model, ids):
    return torch.cat([ids, greedy_step(model, ids.flip(1))[:, -1:]], 1)


def without_token_0(model, ids):
    return torch.cat([ids, model(ids)[:, -1, 1:].argmax(-1, keepdim=True) + 1], 1)


def best_of_all_places(model, ids):
    return torch.cat([ids, model(ids).amax(1).argmax(-1, keepdim=True)], 1)


# top_k_filter


def half_of_k(logits, k):
    return top_k_filter(logits, max(1, k // 2))


def k_as_a_limit(logits, k):
    return logits.masked_fill(logits < 2 / k, -math.inf)


def not_a_number(logits, k):
    kept = top_k_filter(logits, k)
    return kept.masked_fill(kept.isinf(), math.nan)


def shifted(logits, k):
    kept = top_k_filter(logits, k)
    return kept - kept.amax(-1, keepdim=True)


def in_double(logits, k):
    return top_k_filter(logits.double(), k)


def always_two(logits, k):
    return top_k_filter(logits, 2)


# top_p_filter


def half_of_p(logits, p):
    return top_p_filter(logits, p / 2)


def one_more(logits, p):
    kept = (~top_p_filter(logits, p).isinf()).sum(-1)
    limits = [row.sort(descending=True).values[min(int(n), len(row) - 1)] for row, n in zip(logits.reshape(-1, logits.shape[-1]), kept.flatten())]
    return logits.masked_fill(logits < torch.stack(limits).view(*logits.shape[:-1], 1), -math.inf)


def hot(logits, p):
    return logits.masked_fill(top_p_filter(logits / 2, p).isinf(), -math.inf)


def fixed_p(logits, p):
    return top_p_filter(logits, 0.9)


def as_numpy(logits, p):
    return top_p_filter(logits, p).numpy()


def shifted_nucleus(logits, p):
    kept = top_p_filter(logits, p)
    return kept - kept.amax(-1, keepdim=True)


# sample_loop


def draws_twice(model, ids, n, temperature, keep, draw):
    def second(probabilities):
        draw(probabilities)
        return draw(probabilities)

    return sample_loop(model, ids, n, temperature, keep, second)


def root_of_temperature(model, ids, n, temperature, keep, draw):
    return sample_loop(model, ids, n, temperature**0.5, keep, draw)


def filtered_again(model, ids, n, temperature, keep, draw):
    return sample_loop(model, ids, n, temperature, lambda z: top_k_filter(keep(z), 3), draw)


def last_two_tokens(model, ids, n, temperature, keep, draw):
    return sample_loop(lambda text: model(text[:, -2:]), ids, n, temperature, keep, draw)


def tokens_moved(model, ids, n, temperature, keep, draw):
    return sample_loop(model, ids, n, temperature, keep, lambda q: (draw(q) + 1) % q.shape[1])


def cools_down(model, ids, n, temperature, keep, draw):
    for step in range(n):
        ids = sample_loop(model, ids, 1, temperature / (1 + step), keep, draw)
    return ids


def filtered_when_heated_only(model, ids, n, temperature, keep, draw):
    return sample_loop(model, ids, n, temperature, keep if temperature != 1 else lambda z: z, draw)


# repetition_penalty


def squared(logits, ids, penalty):
    return repetition_penalty(logits, ids, penalty**2)


def first_two_tokens(logits, ids, penalty):
    return repetition_penalty(logits, ids[:, :2], penalty)


def token_0_spared(logits, ids, penalty):
    out = repetition_penalty(logits, ids, penalty)
    out[:, 0] = logits[:, 0]
    return out


def neighbours(logits, ids, penalty):
    return repetition_penalty(logits, (ids + 1) % logits.shape[1], penalty)


def penalty_list(logits, ids, penalty):
    return repetition_penalty(logits, ids, penalty).tolist()


def set_to_the_penalty(logits, ids, penalty):
    return logits.scatter(1, ids, -penalty)


# beam_step


def token_in_front(ids, scores, logits, k):
    rows, best = beam_step(ids, scores, logits, k)
    return torch.cat([rows[:, -1:], rows[:, :-1]], 1), best


def scores_alone(ids, scores, logits, k):
    return beam_step(ids, scores, logits, k)[1]


def exchanged(ids, scores, logits, k):
    return beam_step(ids, scores, logits, k)[::-1]


def chances(ids, scores, logits, k):
    rows, best = beam_step(ids, scores, logits, k)
    return rows, best.exp()


def one_fewer(ids, scores, logits, k):
    rows, best = beam_step(ids, scores, logits, k + 1)
    return rows[1:], best[1:]


def tokens_only(ids, scores, logits, k):
    rows, best = beam_step(ids, scores, logits, k)
    return rows[:, -1], best


def colder(ids, scores, logits, k):
    return beam_step(ids, scores, 2 * logits, k)


# is_generation


def trusts_everybody(generate):
    return generate is not None


def trusts_nobody(generate):
    return generate is None


def answers_in_words(generate):
    return "yes" if is_generation(generate) else "no"


def answers_with_a_number(generate):
    return int(is_generation(generate))


def looks_at_the_name(generate):
    return "loop" in repr(generate)


def any_new_token(generate):
    def model(ids):
        return torch.nn.functional.one_hot((ids * 2).cumsum(1) % 7, 7).float()

    out = generate(model, torch.tensor([[1, 2, 3], [2, 2, 1]]), 4)
    return out.shape == (2, 7) and bool((out[:, 3] == model(torch.tensor([[1, 2, 3], [2, 2, 1]]))[:, -1].argmax(-1)).any())


OUTSIDE = {
    "generate_text.greedy_step": [second_best, two_steps, as_a_list, in_float, text_reversed, without_token_0, best_of_all_places],
    "generate_text.top_k_filter": [half_of_k, k_as_a_limit, not_a_number, shifted, in_double, always_two],
    "generate_text.top_p_filter": [half_of_p, one_more, hot, fixed_p, as_numpy, shifted_nucleus],
    "generate_text.sample_loop": [
        draws_twice, root_of_temperature, filtered_again, last_two_tokens, tokens_moved, cools_down, filtered_when_heated_only,
    ],
    "generate_text.repetition_penalty": [squared, first_two_tokens, token_0_spared, neighbours, penalty_list, set_to_the_penalty],
    "generate_text.beam_step": [token_in_front, scores_alone, exchanged, chances, one_fewer, tokens_only, colder],
    "generate_text.is_generation": [trusts_everybody, trusts_nobody, answers_in_words, answers_with_a_number, looks_at_the_name, any_new_token],
}
