"""Wrong answers that the catalogue does not know: rejected, with no hint of another mistake."""

import statistics

import numpy as np
import torch.nn.functional as F

from bigmodel_nb.exercises.gpu_and_scale import (
    accumulate_gradients,
    accumulation_is_right,
    all_reduce_mean,
    estimate_memory,
    median_seconds,
    mfu,
)

# median_seconds


def in_milliseconds(fn, clock, synchronize, warmup=1, repeat=5):
    return 1000 * median_seconds(fn, clock, synchronize, warmup, repeat)


def all_times(fn, clock, synchronize, warmup=1, repeat=5):
    return [median_seconds(fn, clock, synchronize, warmup, 1) for _ in range(repeat)]


def one_call_more(fn, clock, synchronize, warmup=1, repeat=5):
    return median_seconds(fn, clock, synchronize, warmup, repeat + 1)


def waits_once_at_the_end(fn, clock, synchronize, warmup=1, repeat=5):
    for _ in range(warmup):
        fn()
    begun, times = clock(), []
    for _ in range(repeat):
        fn()
        times.append(clock() - begun)
    synchronize()
    return statistics.median(times) + clock() - begun


def half_of_it(fn, clock, synchronize, warmup=1, repeat=5):
    return median_seconds(fn, clock, synchronize, warmup, repeat) / 2


def calls_twice(fn, clock, synchronize, warmup=1, repeat=5):
    return median_seconds(lambda: (fn(), fn()), clock, synchronize, warmup, repeat)


# mfu


def six_times_parameters(tokens_per_second, peak, n_layer, d_model, vocab_size, T):
    n_params = 12 * n_layer * d_model**2 + 13 * n_layer * d_model + (vocab_size + T + 2) * d_model
    return 6 * n_params * tokens_per_second / peak


def of_a_row(tokens_per_second, peak, n_layer, d_model, vocab_size, T):
    return T * mfu(tokens_per_second, peak, n_layer, d_model, vocab_size, T)


def at_most_one(tokens_per_second, peak, n_layer, d_model, vocab_size, T):
    return min(1.0, 1.5 * mfu(tokens_per_second, peak, n_layer, d_model, vocab_size, T))


def achieved(tokens_per_second, peak, n_layer, d_model, vocab_size, T):
    return mfu(tokens_per_second, 1.0, n_layer, d_model, vocab_size, T)


def what_is_unused(*case):
    return 1 - mfu(*case)


def rounded(*case):
    return round(mfu(*case), 1)


# estimate_memory


def in_megabytes(*case):
    return {part: value / 1e6 for part, value in estimate_memory(*case).items()}


def only_the_total(*case):
    return sum(estimate_memory(*case).values())


def as_list(*case):
    return list(estimate_memory(*case).values())


def other_names(*case):
    return {part.upper(): value for part, value in estimate_memory(*case).items()}


def with_total(*case):
    parts = estimate_memory(*case)
    return {**parts, "total": sum(parts.values())}


def no_gradients(*case):
    return {**estimate_memory(*case), "gradients": 0}


def scores_kept(n_params, n_layer, d_model, vocab_size, B, T, checkpointing=False):
    parts = estimate_memory(n_params, n_layer, d_model, vocab_size, B, T, checkpointing)
    return {**parts, "activations": parts["activations"] + 4 * n_layer * B * T * T}


# accumulate_gradients


def loss_as_tensor(model, x, y, micro_batch):
    import torch

    return torch.tensor([accumulate_gradients(model, x, y, micro_batch)])


def clipped(model, x, y, micro_batch):
    import torch

    loss = accumulate_gradients(model, x, y, micro_batch)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    return loss


def steps_down(model, x, y, micro_batch):
    loss = accumulate_gradients(model, x, y, micro_batch)
    for p in model.parameters():
        p.grad = -p.grad
    return loss


def no_backward(model, x, y, micro_batch):
    return float(F.cross_entropy(model(x[:1]).flatten(0, 1), y[:1].flatten()))


def gradients_cleared_at_the_end(model, x, y, micro_batch):
    loss = accumulate_gradients(model, x, y, micro_batch)
    model.zero_grad()
    return loss


def shifted(model, x, y, micro_batch):
    return accumulate_gradients(model, x, y.roll(1, dims=1), micro_batch)


def one_row_less(model, x, y, micro_batch):
    return accumulate_gradients(model, x, y, max(1, micro_batch - 1)) * 2


# accumulation_is_right


def as_word(accumulate, model, x, y):
    return "right" if accumulation_is_right(accumulate, model, x, y) else "wrong"


def always(accumulate, model, x, y):
    return x is not None


def never(accumulate, model, x, y):
    return x is None


def none_for_no(accumulate, model, x, y):
    return accumulation_is_right(accumulate, model, x, y) or None


def by_its_name(accumulate, model, x, y):
    return "wrong" not in repr(accumulate)


def losses_below_one(accumulate, model, x, y):
    return accumulation_is_right(accumulate, model, x, y) and accumulate(model, x, y, 1) < 1


def on_one_row(accumulate, model, x, y):
    return accumulation_is_right(accumulate, model, x[:1], y[:1])


# all_reduce_mean


def for_every_worker(gradients, counts):
    return [all_reduce_mean(gradients, counts) for _ in counts]


def flattened(gradients, counts):
    return [g.ravel() for g in all_reduce_mean(gradients, counts)]


def last_array_only(gradients, counts):
    return all_reduce_mean(gradients, counts)[-1:]


def median_of_workers(gradients, counts):
    return [np.nanmedian([own[i] for own in gradients], axis=0) for i in range(len(gradients[0]))]


def root_of_counts(gradients, counts):
    return all_reduce_mean(gradients, [n**0.5 for n in counts])


def as_tuple(gradients, counts):
    return tuple(all_reduce_mean(gradients, counts))


def only_first_array_weighed(gradients, counts):
    right = all_reduce_mean(gradients, counts)
    rest = [np.mean([own[i] for own in gradients], axis=0) for i in range(1, len(right))]
    return [right[0], *rest]


def hides_nan(gradients, counts):
    return [np.tensordot(counts, np.nan_to_num([own[i] for own in gradients]), axes=1) / sum(counts) for i in range(len(gradients[0]))]


OUTSIDE = {
    "gpu_and_scale.median_seconds": [
        in_milliseconds, all_times, one_call_more, waits_once_at_the_end, half_of_it, calls_twice,
    ],
    "gpu_and_scale.mfu": [six_times_parameters, of_a_row, at_most_one, achieved, what_is_unused, rounded],
    "gpu_and_scale.estimate_memory": [
        in_megabytes, only_the_total, as_list, other_names, with_total, no_gradients, scores_kept,
    ],
    "gpu_and_scale.accumulate_gradients": [
        loss_as_tensor, clipped, steps_down, no_backward, gradients_cleared_at_the_end, shifted, one_row_less,
    ],
    "gpu_and_scale.accumulation_is_right": [
        as_word, always, never, none_for_no, by_its_name, losses_below_one, on_one_row,
    ],
    "gpu_and_scale.all_reduce_mean": [
        for_every_worker, flattened, last_array_only, median_of_workers, root_of_counts, as_tuple, only_first_array_weighed,
        hides_nan,
    ],
}
