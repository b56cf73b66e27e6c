"""Each misconception once more, in another style and with other names."""

import math

import numpy as np
import torch

# median_seconds: a stopwatch, and NumPy for the rest


def measured(kernel, now, wait, cold, calls, start=True, stop=True):
    for _ in range(cold):
        kernel()
    out = np.empty(calls)
    for i in range(calls):
        wait() if start else None
        t = now()
        kernel()
        wait() if stop else None
        out[i] = now() - t
    return out


def cold(kernel, now, wait, warmup=1, repeat=5):
    return float(np.median(measured(kernel, now, wait, 0, repeat)))


def warm_ones_too(kernel, now, wait, warmup=1, repeat=5):
    return float(np.median(measured(kernel, now, wait, 0, repeat + warmup)))


def once_warm(kernel, now, wait, warmup=1, repeat=5):
    return float(np.median(measured(kernel, now, wait, 1, repeat)))


def open_end(kernel, now, wait, warmup=1, repeat=5):
    return float(np.median(measured(kernel, now, wait, warmup, repeat, stop=False)))


def never_waits(kernel, now, wait, warmup=1, repeat=5):
    return float(np.median(measured(kernel, now, wait, warmup, repeat, start=False, stop=False)))


def open_start(kernel, now, wait, warmup=1, repeat=5):
    return float(np.median(measured(kernel, now, wait, warmup, repeat, start=False)))


def average(kernel, now, wait, warmup=1, repeat=5):
    return float(measured(kernel, now, wait, warmup, repeat).mean())


def best(kernel, now, wait, warmup=1, repeat=5):
    return float(measured(kernel, now, wait, warmup, repeat).min())


def worst(kernel, now, wait, warmup=1, repeat=5):
    return float(measured(kernel, now, wait, warmup, repeat).max())


def altogether(kernel, now, wait, warmup=1, repeat=5):
    return float(measured(kernel, now, wait, warmup, repeat).sum())


def one_long_look(kernel, now, wait, warmup=1, repeat=5):
    for _ in range(warmup):
        kernel()
    wait()
    begun = now()
    [kernel() for _ in range(repeat)]
    wait()
    return (now() - begun) / repeat


def latest(kernel, now, wait, warmup=1, repeat=5):
    return float(measured(kernel, now, wait, warmup, repeat)[-1])


def earliest(kernel, now, wait, warmup=1, repeat=5):
    return float(measured(kernel, now, wait, warmup, repeat)[0])


def upper(kernel, now, wait, warmup=1, repeat=5):
    return float(np.sort(measured(kernel, now, wait, warmup, repeat))[repeat // 2])


def as_it_came(kernel, now, wait, warmup=1, repeat=5):
    return float(measured(kernel, now, wait, warmup, repeat)[repeat // 2])


# mfu: parameter counts first


def used(speed, limit, layers, width, words, length, times=6.0, scores=2.0, head=1.0, block=12.0, deep=None, wide=1.0):
    weights = block * (layers if deep is None else deep) * width**2 + head * words * width
    return times * (weights + scores * layers * length * width * wide) * speed / limit


def two(*case):
    return used(*case, times=2.0)


def four(*case):
    return used(*case, times=4.0)


def eight(*case):
    return used(*case, times=8.0)


def three(*case):
    return used(*case, times=3.0)


def matrices_alone(*case):
    return used(*case, scores=0.0)


def causal(*case):
    return used(*case, scores=1.0)


def squared(*case):
    return used(*case, wide=case[-1])


def one_layer_of_scores(speed, limit, layers, width, words, length):
    return used(speed, limit, layers, width, words, length, scores=2.0 / layers)


def headless(*case):
    return used(*case, head=0.0)


def two_tables(*case):
    return used(*case, head=2.0)


def single_block(*case):
    return used(*case, deep=1)


def square_matrices(*case):
    return used(*case, block=4.0)


def reciprocal(*case):
    return 1 / used(*case)


def in_hundredths(*case):
    return 100 * used(*case)


def by_seconds(speed, *rest):
    return used(1 / speed, *rest)


# estimate_memory: in float32 numbers first, then bytes


def needs(P, L, C, V, B, T, again=False, width=4, means=2, cells=None, per_token=None):
    cells = B * T if cells is None else cells
    if per_token is None:
        per_token = L * C + max(16 * C, 2 * C + V) if again else (16 * L + 2) * C + V
    sizes = dict(zip(("parameters", "gradients", "optimiser state", "activations"), (P, P, means * P, cells * per_token)))
    return {name: width * size for name, size in sizes.items()}


def plain_numbers(*case):
    return needs(*case, width=1)


def numbers_of_tokens(*case):
    sizes = needs(*case)
    return {**sizes, "activations": sizes["activations"] // 4}


def two_bytes(*case):
    return needs(*case, width=2)


def doubles(*case):
    return needs(*case, width=8)


def momentum(*case):
    return needs(*case, means=1)


def all_in_one(*case):
    return needs(*case, means=4)


def single_row(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, cells=T)


def rows_alone(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, cells=B)


def flat(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, per_token=None if again else 18 * C + V)


def blocks_only(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, per_token=(L + 16) * C if again else 16 * L * C)


def wordless(P, L, C, V, B, T, again=False):
    return needs(P, L, C, 0, B, T, again)


def many_heads(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, per_token=None if again else L * (18 * C + V))


def never_again(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T)


def inputs_and_head(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, per_token=(L + 2) * C + V if again else None)


def sum_of_both(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, per_token=(L + 18) * C + V if again else None)


def nothing_but_the_larger(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, per_token=max(16 * C, 2 * C + V) if again else None)


def lone_input(P, L, C, V, B, T, again=False):
    return needs(P, L, C, V, B, T, again, per_token=C + max(16 * C, 2 * C + V) if again else None)


# accumulate_gradients: with autograd.grad, row numbers and log_softmax


def nats(net, ids, targets):
    logp = net(ids).log_softmax(-1)
    keep = targets.ne(-100)
    return -logp[keep].gather(1, targets[keep][:, None]).sum()


def collect(net, ids, targets, size, weigh, stop=None, fresh=True, only_last=False, told=math.fsum):
    weights = list(net.parameters())
    sums = [torch.zeros_like(w) if fresh else w.grad.clone() if w.grad is not None else torch.zeros_like(w) for w in weights]
    heard = []
    for low in range(0, len(ids) if stop is None else stop, size):
        part = targets[low : low + size]
        value = nats(net, ids[low : low + size], part) * weigh(targets, part)
        parts = torch.autograd.grad(value, weights)
        sums = list(parts) if only_last else [s + g for s, g in zip(sums, parts)]
        heard.append(float(value.detach()))
    for w, s in zip(weights, sums):
        w.grad = s
    return told(heard)


def labels_in(targets):
    return int(targets.ne(-100).sum())


def whole(targets, part):
    return 1 / labels_in(targets)


def own(targets, part):
    return 1 / part.ne(-100).sum()


def averaged_parts(net, ids, targets, size):
    return collect(net, ids, targets, size, lambda t, p: own(t, p) / math.ceil(len(t) / size))


def added_parts(net, ids, targets, size):
    return collect(net, ids, targets, size, own)


def undivided(net, ids, targets, size):
    return collect(net, ids, targets, size, lambda t, p: 1.0)


def final_part(net, ids, targets, size):
    return collect(net, ids, targets, size, whole, only_last=True)


def on_top(net, ids, targets, size):
    return collect(net, ids, targets, size, whole, fresh=False)


def full_parts(net, ids, targets, size):
    return collect(net, ids, targets, size, whole, stop=len(ids) - len(ids) % size if len(ids) >= size else None)


def mean_of_each_weighed(net, ids, targets, size):
    return collect(net, ids, targets, size, lambda t, p: own(t, p) * labels_in(p) / labels_in(t))


def graphs_kept(net, ids, targets, size):
    net.zero_grad()
    sums = [nats(net, a, b) for a, b in zip(ids.split(size), targets.split(size))]
    mean = torch.stack(sums).sum() / labels_in(targets)
    mean.backward()
    return float(mean.detach())


def in_one_go(net, ids, targets, size):
    return collect(net, ids, targets, len(ids), whole)


def so_many_parts(net, ids, targets, number):
    return collect(net, ids, targets, math.ceil(len(ids) / number), whole)


def every_place(net, ids, targets, size):
    return collect(net, ids, targets, size, lambda t, p: 1 / math.prod(t.shape))


def a_row(net, ids, targets, size):
    return collect(net, ids, targets, size, lambda t, p: 1 / t.shape[0])


def last_heard(net, ids, targets, size):
    return collect(net, ids, targets, size, whole, told=lambda heard: heard[-1])


def mean_heard(net, ids, targets, size):
    return collect(net, ids, targets, size, whole, told=lambda heard: float(np.mean(heard)))


# accumulation_is_right: all gradients in one vector


def vector(net, how_many=None):
    return torch.cat([w.grad.flatten() for w in list(net.parameters())[:how_many]])


def inspected(method, net, ids, targets, sizes, tolerance=1e-5, how_many=None, loss=True, gradient=True, tidy=False, labels=None):
    for w in net.parameters():
        w.grad = None
    wanted = nats(net, ids, targets) / (labels or labels_in(targets))
    wanted.backward()
    truth = vector(net, how_many)
    fine = True
    for size in sizes:
        if tidy:
            for w in net.parameters():
                w.grad = None
        told = method(net, ids, targets, size)
        if gradient:
            fine &= torch.allclose(vector(net, how_many), truth, rtol=0, atol=tolerance)
        if loss:
            fine &= math.isclose(told, wanted.item(), rel_tol=0, abs_tol=tolerance)
    return fine


def every(ids):
    return list(range(1, len(ids) + 1))


def negated(method, net, ids, targets):
    return not inspected(method, net, ids, targets, every(ids))


def one_big(method, net, ids, targets):
    return inspected(method, net, ids, targets, [len(ids)])


def divisors(method, net, ids, targets):
    return inspected(method, net, ids, targets, [s for s in every(ids) if len(ids) % s == 0])


def loss_alone(method, net, ids, targets):
    return inspected(method, net, ids, targets, every(ids), gradient=False)


def gradient_alone(method, net, ids, targets):
    return inspected(method, net, ids, targets, every(ids), loss=False)


def first_weight(method, net, ids, targets):
    return inspected(method, net, ids, targets, every(ids), how_many=1)


def to_the_bit(method, net, ids, targets):
    net.zero_grad(set_to_none=False)
    wanted = torch.nn.functional.cross_entropy(net(ids).flatten(0, 1), targets.flatten())
    truth = torch.autograd.grad(wanted, list(net.parameters()))
    for size in every(ids):
        if method(net, ids, targets, size) != wanted.item():
            return False
        if not all(bool((w.grad == g).all()) for w, g in zip(net.parameters(), truth)):
            return False
    return True


def roughly(method, net, ids, targets):
    return inspected(method, net, ids, targets, every(ids), tolerance=0.02)


def all_places(method, net, ids, targets):
    return inspected(method, net, ids, targets, every(ids), labels=targets.numel())


def tidied(method, net, ids, targets):
    return inspected(method, net, ids, targets, every(ids), tidy=True)


def off_by_more(method, net, ids, targets):
    truth, wanted = whole_vector(net, ids, targets)
    for size in every(ids):
        if abs(method(net, ids, targets, size) - wanted) > 1e-5:
            return False
        if torch.any((vector(net) - truth).abs() > 1e-5):
            return False
    return True


def off_by_more_when_tidied(method, net, ids, targets):
    def tidy(net, *rest):
        net.zero_grad()
        return method(net, *rest)

    return off_by_more(tidy, net, ids, targets)


def losses_off_by_more(method, net, ids, targets):
    _, wanted = whole_vector(net, ids, targets)
    return all(not abs(method(net, ids, targets, size) - wanted) > 1e-5 for size in every(ids))


def whole_vector(net, ids, targets):
    net.zero_grad()
    wanted = nats(net, ids, targets) / labels_in(targets)
    wanted.backward()
    return vector(net), wanted.item()


def aliases(method, net, ids, targets):
    _, wanted = whole_vector(net, ids, targets)
    truth = {name: w.grad for name, w in net.named_parameters()}
    for size in every(ids):
        if not abs(method(net, ids, targets, size) - wanted) < 1e-5:
            return False
        if not all(torch.allclose(w.grad, truth[name], rtol=0, atol=1e-5) for name, w in net.named_parameters()):
            return False
    return True


# all_reduce_mean: array by array, with np.average where it fits


def columns(parts):
    return [np.stack(arrays) for arrays in zip(*parts)]


def unweighted(parts, tokens):
    return [a.mean(axis=0) for a in columns(parts)]


def unweighted_without_nan(parts, tokens):
    return [np.nanmean(a, axis=0) for a in columns(parts)]


def with_nan(parts, tokens):
    return [np.average(a, axis=0, weights=tokens) for a in columns(parts)]


def added(parts, tokens):
    return [np.nansum(a, axis=0) for a in columns(parts)]


def times_tokens(parts, tokens):
    return [np.tensordot(tokens, np.nan_to_num(a), axes=1) for a in columns(parts)]


def by_number(parts, tokens):
    return [np.tensordot(tokens, np.nan_to_num(a), axes=1) / len(parts) for a in columns(parts)]


def fewer_is_more(parts, tokens):
    keep = [i for i, n in enumerate(tokens) if n]
    return [np.average(a[keep], axis=0, weights=1 / np.array(tokens)[keep]) for a in columns(parts)]


def rank_zero(parts, tokens):
    return list(parts[0])


def biggest(parts, tokens):
    return list(max(zip(tokens, range(len(parts)), parts), key=lambda it: (it[0], -it[1]))[2])


VERSIONS = {
    "gpu_and_scale.median_seconds": {
        "no_warm_up": [cold],
        "warm_up_counted": [warm_ones_too],
        "always_one_warm_up": [once_warm],
        "end_not_awaited": [open_end, never_waits],
        "start_not_awaited": [open_start],
        "mean": [average],
        "minimum": [best],
        "maximum": [worst],
        "total": [altogether],
        "all_together_divided": [one_long_look],
        "last_only": [latest],
        "first_only": [earliest],
        "upper_middle": [upper],
        "not_sorted": [as_it_came],
    },
    "gpu_and_scale.mfu": {
        "forward_only": [two],
        "backward_once": [four],
        "computed_again": [eight],
        "multiply_add_is_one": [three],
        "no_attention": [matrices_alone],
        "visible_scores_only": [causal],
        "scores_of_a_whole_row": [squared],
        "scores_in_one_layer": [one_layer_of_scores],
        "no_head": [headless],
        "head_twice": [two_tables],
        "one_block": [single_block],
        "four_matrices_alike": [square_matrices],
        "upside_down": [reciprocal],
        "per_cent": [in_hundredths],
        "divided_by_speed": [by_seconds],
    },
    "gpu_and_scale.estimate_memory": {
        "numbers_not_bytes": [plain_numbers, numbers_of_tokens],
        "half_precision": [two_bytes],
        "eight_bytes": [doubles],
        "one_running_mean": [momentum],
        "optimiser_with_the_rest": [all_in_one],
        "one_row": [single_row],
        "one_token_a_row": [rows_alone],
        "one_block": [flat],
        "no_head": [blocks_only],
        "no_logits": [wordless],
        "head_in_every_block": [many_heads],
        "checkpointing_ignored": [never_again],
        "no_block_computed_again": [inputs_and_head],
        "head_and_block_at_once": [sum_of_both],
        "inputs_not_kept": [nothing_but_the_larger],
        "input_of_one_block": [lone_input],
    },
    "gpu_and_scale.accumulate_gradients": {
        "mean_of_means": [averaged_parts],
        "sum_of_means": [added_parts],
        "sum_not_mean": [undivided],
        "last_part_only": [final_part],
        "old_gradients_kept": [on_top],
        "rest_dropped": [full_parts],
        "all_at_once": [in_one_go],
        "one_backward": [graphs_kept],
        "empty_part_poisons": [mean_of_each_weighed],
        "number_of_parts": [so_many_parts],
        "places_not_labels": [every_place],
        "divided_by_rows": [a_row],
        "loss_of_the_last_part": [last_heard],
        "mean_of_the_losses": [mean_heard],
    },
    "gpu_and_scale.accumulation_is_right": {
        "answer_turned_round": [negated],
        "whole_batch_only": [one_big],
        "parts_of_equal_size_only": [divisors],
        "only_the_loss": [loss_alone, losses_off_by_more],
        "only_the_gradients": [gradient_alone],
        "one_parameter_compared": [first_weight],
        "compared_exactly": [to_the_bit],
        "compared_too_coarsely": [roughly],
        "places_counted": [all_places],
        "nan_let_through": [off_by_more],
        "not_cloned": [aliases],
        "gradients_cleared_for_it": [tidied, off_by_more_when_tidied],
    },
    "gpu_and_scale.all_reduce_mean": {
        "plain_mean": [unweighted, unweighted_without_nan],
        "empty_worker_poisons": [with_nan],
        "sum_of_workers": [added],
        "not_divided": [times_tokens],
        "divided_by_workers": [by_number],
        "weighed_the_wrong_way": [fewer_is_more],
        "first_worker_only": [rank_zero],
        "largest_worker_only": [biggest],
    },
}
