"""Each misconception once more, in another style and with other names."""

import copy

import numpy as np
import torch
import torch.nn.functional as F

# lora_init: with in-place draws


def drawn(shape, bound, rng, low=None):
    return torch.empty(*shape).uniform_(-bound if low is None else low, bound, generator=rng)


def noise_in_both(n_in, n_out, rank, rng):
    down = drawn((n_in, rank), n_in**-0.5, rng)
    return down, drawn((rank, n_out), n_in**-0.5, rng)


def nothing_in_both(n_in, n_out, rank, rng):
    return torch.zeros((n_in, rank)), torch.zeros((rank, n_out))


def up_is_random(n_in, n_out, rank, rng):
    return torch.zeros((n_in, rank)), drawn((rank, n_out), rank**-0.5, rng)


def like_linear(n_in, n_out, rank, rng):
    down = torch.nn.Linear(n_in, rank, bias=False).weight.detach().clone()
    return drawn(down.shape, n_in**-0.5, rng), torch.zeros((n_out, rank))


def by_rank(n_in, n_out, rank, rng):
    return drawn((n_in, rank), rank**-0.5, rng), torch.zeros((rank, n_out))


def by_output(n_in, n_out, rank, rng):
    return drawn((n_in, rank), n_out**-0.5, rng), torch.zeros((rank, n_out))


def no_root(n_in, n_out, rank, rng):
    return drawn((n_in, rank), 1 / n_in, rng), torch.zeros((rank, n_out))


def unit_bound(n_in, n_out, rank, rng):
    return drawn((rank, n_in), 1.0, rng).T.contiguous(), torch.zeros((rank, n_out))


def above_zero(n_in, n_out, rank, rng):
    return drawn((n_in, rank), n_in**-0.5, rng, low=0.0), torch.zeros((rank, n_out))


def minus_a_half(n_in, n_out, rank, rng):
    return (torch.rand((n_in, rank), generator=rng) - 0.5) * n_in**-0.5, torch.zeros((rank, n_out))


def bell(n_in, n_out, rank, rng):
    return torch.empty(n_in, rank).normal_(0, n_in**-0.5, generator=rng), torch.zeros((rank, n_out))


def own_luck(n_in, n_out, rank, rng):
    return drawn((n_in, rank), n_in**-0.5, None), torch.zeros((rank, n_out))


def from_the_seed(n_in, n_out, rank, rng):
    torch.manual_seed(rng.initial_seed())
    return torch.empty(n_in, rank).uniform_(-(n_in**-0.5), n_in**-0.5), torch.zeros((rank, n_out))


# lora_linear: with F.linear


def mixed(x, weight, bias, down, up, factor, keep=1.0):
    return F.linear(x, keep * weight.T, bias) + factor * F.linear(F.linear(x, down.T), up.T)


def as_it_is(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, 1)


def alpha_only(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, alpha)


def one_over_rank(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, 1 / len(B))


def rank_over_alpha(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, len(B) / alpha)


def rank_times_alpha(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, len(B) * alpha)


def by_rows_of_A(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, alpha / len(A))


def rank_stabilised(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, alpha * len(B) ** -0.5)


def only_added(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, alpha / len(B), keep=0.0)


def only_added_no_bias(x, W, b, A, B, alpha):
    return mixed(x, W, torch.zeros_like(b), A, B, alpha / len(B), keep=0.0)


def no_bias(x, W, b, A, B, alpha):
    return mixed(x, W, None, A, B, alpha / len(B))


def scales_weight(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, alpha / len(B), keep=alpha / len(B))


def scales_all(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, 1) * alpha / len(B)


def rectified(x, W, b, A, B, alpha):
    return F.linear(x, W.T, b) + F.relu(F.linear(x, A.T)) @ B * alpha / len(B)


def takes_away(x, W, b, A, B, alpha):
    return mixed(x, W, b, A, B, -alpha / len(B))


# merge_lora: with einsum


def product(A, B):
    return torch.einsum("ik,kj->ij", A, B)


def merged_plain(W, A, B, alpha):
    return torch.addmm(W, A, B)


def merged_alpha(W, A, B, alpha):
    return torch.addmm(W, A, B, alpha=alpha)


def merged_mean(W, A, B, alpha):
    return torch.addmm(W, A, B, alpha=1 / B.shape[0])


def merged_upside_down(W, A, B, alpha):
    return W + product(A, B) * B.shape[0] / alpha


def merged_times(W, A, B, alpha):
    return W + product(A, B) * B.shape[0] * alpha


def merged_rows(W, A, B, alpha):
    return W + product(A, B) * alpha / W.shape[0]


def merged_root(W, A, B, alpha):
    return W + product(A, B) * alpha / np.sqrt(B.shape[0])


def change_only(W, A, B, alpha):
    return torch.mm(A * alpha / B.shape[0], B)


def scaled_sum(W, A, B, alpha):
    return torch.addmm(W, A, B) * alpha / B.shape[0]


def unmerged(W, A, B, alpha):
    return torch.addmm(W, A, B, alpha=-alpha / B.shape[0])


def flipped(W, A, B, alpha):
    return W + torch.einsum("ik,kj->ji", A, B) * alpha / B.shape[0]


# count_trainable: by names, and with other sizes of a tensor


def summed(net, size, names=None):
    found = dict(net.named_parameters()) if names is None else names
    chosen = [tensor for tensor in found.values() if tensor.requires_grad]
    return sum(map(size, chosen)), sum(map(size, found.values()))


def how_many_tensors(net):
    return summed(net, lambda t: 1)


def everything_twice(net):
    total = int(torch.nn.utils.parameters_to_vector(net.parameters()).numel())
    return total, total


def trained_twice(net):
    return summed(net, torch.numel)[:1] * 2


def the_frozen(net):
    return sum(p.numel() for p in net.parameters() if not p.requires_grad), summed(net, torch.numel)[1]


def rest(net):
    trained, total = summed(net, torch.numel)
    return trained, total - trained


def total_first(net):
    trained, total = summed(net, torch.numel)
    return total, trained


def module_by_module(net):
    """Every place of every parameter."""
    trained = total = 0
    for name, tensor in net.named_parameters(remove_duplicate=False):
        total += np.prod(tensor.shape, dtype=int).item()
        trained += np.prod(tensor.shape, dtype=int).item() if tensor.requires_grad else 0
    return trained, total


def parts_only(net):
    names = [f"{name}." for name, _ in net.named_children()]
    return summed(net, torch.numel, {n: p for n, p in net.named_parameters() if n.startswith(tuple(names))})


def from_state_dict(net):
    return summed(net, torch.numel)[0], sum(map(torch.numel, net.state_dict().values()))


def buffers_too(net):
    return summed(net, torch.numel)[0], sum(map(torch.numel, [*net.parameters(), *net.buffers()]))


def matrices(net):
    return summed(net, lambda t: t.numel() if t.dim() == 2 else 0)


def first_axis(net):
    return summed(net, lambda t: t.size(0))


def in_bytes(net):
    return summed(net, lambda t: t.numel() * t.element_size())


# adapter_is_sound: with states as dicts


def state_of(module):
    return {name: tensor.detach().clone() for name, tensor in module.named_parameters()}


def run(module, x, learning_rate=0.05, n=2, target=-2):
    weights = [p for p in module.parameters() if p.requires_grad]
    for _ in range(n):
        module.zero_grad()
        loss = (module(x) - target).pow(2).mean()
        loss.backward()
        with torch.no_grad():
            for w in weights:
                w -= learning_rate * w.grad
    return len(weights)


def examined(wrap, layer, x, late=False, names=("weight", "bias"), close=1e-5, columns=slice(None), start=True, move=True):
    old = None if late else (state_of(layer), layer(x).detach().clone())
    net = wrap(layer)
    state, output = old or (state_of(layer), layer(x).detach().clone())
    first = net(x).detach().clone()
    if start and not torch.allclose(first[:, columns], output[:, columns], rtol=0, atol=close):
        return False
    if not any(p.requires_grad for p in net.parameters()):
        return False
    run(net, x)
    if any(not torch.equal(state[name], state_of(layer)[name]) for name in names):
        return False
    return not move or not torch.allclose(net(x), output, rtol=0, atol=1e-5)


def inverted(wrap, layer, x):
    return not examined(wrap, layer, x)


def identity_only(wrap, layer, x):
    output = copy.deepcopy(layer)(x)
    return torch.allclose(wrap(layer)(x), output, atol=1e-5)


def frozen_and_identity(wrap, layer, x):
    output = layer(x).detach()
    net = wrap(layer)
    frozen = not layer.weight.requires_grad and not layer.bias.requires_grad
    return frozen and torch.allclose(net(x), output, atol=1e-5)


def rows_of_weight_are_outputs(wrap, layer, x):
    output = torch.stack([(layer.weight * row).sum(1) for row in x]).detach() + layer.bias.detach()
    return torch.allclose(wrap(copy.deepcopy(layer))(x), output, rtol=0, atol=1e-5) and examined(wrap, layer, x)


def distance_from_the_start(wrap, layer, x):
    old, output = state_of(layer), layer(x).detach().clone()
    net = wrap(layer)
    if not torch.allclose(net(x), output, atol=1e-5) or not any(p.requires_grad for p in net.parameters()):
        return False
    run(net, x, target=output)
    return not torch.allclose(net(x), output, atol=1e-5) and all(torch.equal(old[n], t) for n, t in state_of(layer).items())


def decayed(wrap, layer, x):
    state, output = state_of(layer), layer(x).detach().clone()
    net = wrap(layer)
    weights = [p for p in net.parameters() if p.requires_grad]
    if not torch.allclose(net(x), output, rtol=0, atol=1e-5) or not weights:
        return False
    first, optimizer = torch.nn.utils.parameters_to_vector(weights).detach(), torch.optim.AdamW(weights, weight_decay=0.5)
    optimizer.zero_grad()
    net(x).mean().backward()
    optimizer.step()
    moved = not torch.equal(torch.nn.utils.parameters_to_vector(weights), first)
    return moved and all(torch.equal(state[n], t) for n, t in state_of(layer).items())


def any_start(wrap, layer, x):
    return examined(wrap, layer, x, start=False)


def copy_afterwards(wrap, layer, x):
    return examined(wrap, layer, x, late=True)


def layer_trusted(wrap, layer, x):
    return examined(wrap, layer, x, names=())


def weight_compared(wrap, layer, x):
    return examined(wrap, layer, x, names=("weight",))


def learning_trusted(wrap, layer, x):
    return examined(wrap, layer, x, move=False)


def learning_trusted_at_all(wrap, layer, x):
    state, output = state_of(layer), layer(x).detach().clone()
    net = wrap(layer)
    same = torch.allclose(net(x), output, atol=1e-5)
    run(net, x) if any(p.requires_grad for p in net.parameters()) else None
    return same and all(torch.equal(state[n], t) for n, t in state_of(layer).items())


def empty_is_fine(wrap, layer, x):
    trial = wrap(copy.deepcopy(layer))
    if not any(p.requires_grad for p in trial.parameters()):
        return torch.allclose(trial(x), layer(x), atol=1e-5)
    return examined(wrap, layer, x)


def to_the_bit(wrap, layer, x):
    return examined(wrap, layer, x, close=0.0)


def half(wrap, layer, x):
    return examined(wrap, layer, x, close=0.15)


def first_column(wrap, layer, x):
    return examined(wrap, layer, x, columns=slice(1))


VERSIONS = {
    "lora.lora_init": {
        "both_random": [noise_in_both],
        "both_zero": [nothing_in_both],
        "roles_exchanged": [up_is_random],
        "shapes_turned": [like_linear],
        "scaled_by_the_rank": [by_rank],
        "scaled_by_the_output": [by_output],
        "root_forgotten": [no_root],
        "not_scaled": [unit_bound],
        "only_positive": [above_zero],
        "half_the_width": [minus_a_half],
        "normal_numbers": [bell],
        "begun_anew": [from_the_seed],
        "generator_not_used": [own_luck],
    },
    "lora.lora_linear": {
        "scale_left_out": [as_it_is],
        "not_divided_by_r": [alpha_only],
        "alpha_left_out": [one_over_rank],
        "scale_turned_round": [rank_over_alpha, rank_times_alpha],
        "divided_by_d_in": [by_rows_of_A],
        "root_of_r": [rank_stabilised],
        "layer_left_out": [only_added, only_added_no_bias],
        "bias_left_out": [no_bias],
        "everything_scaled": [scales_weight, scales_all],
        "a_curve_between": [rectified],
        "subtracted": [takes_away],
    },
    "lora.merge_lora": {
        "scale_left_out": [merged_plain],
        "not_divided_by_r": [merged_alpha],
        "alpha_left_out": [merged_mean],
        "scale_turned_round": [merged_upside_down, merged_times],
        "divided_by_d_in": [merged_rows],
        "root_of_r": [merged_root],
        "weight_left_out": [change_only],
        "everything_scaled": [scaled_sum],
        "subtracted": [unmerged],
        "transposed": [flipped],
    },
    "lora.count_trainable": {
        "tensors_counted": [how_many_tensors],
        "frozen_ones_counted_as_trained": [everything_twice, trained_twice],
        "frozen_instead_of_trained": [the_frozen],
        "total_without_trained": [rest],
        "order_exchanged": [total_first],
        "shared_counted_twice": [module_by_module, from_state_dict],
        "own_parameters_missed": [parts_only],
        "buffers_counted": [buffers_too],
        "biases_left_out": [matrices],
        "rows_counted": [first_axis],
        "bytes_counted": [in_bytes],
    },
    "lora.adapter_is_sound": {
        "answer_turned_round": [inverted],
        "only_the_start": [identity_only],
        "only_flags_read": [frozen_and_identity],
        "start_not_checked": [any_start],
        "compared_too_late": [copy_afterwards],
        "layer_not_checked": [layer_trusted],
        "bias_not_checked": [weight_compared],
        "learning_not_checked": [learning_trusted, learning_trusted_at_all],
        "numbers_moved": [decayed],
        "nothing_to_train_passes": [empty_is_fine],
        "compared_exactly": [to_the_bit],
        "compared_too_coarsely": [half],
        "one_output_compared": [first_column],
        "linear_assumed": [rows_of_weight_are_outputs],
        "loss_without_gradient": [distance_from_the_start],
    },
}
