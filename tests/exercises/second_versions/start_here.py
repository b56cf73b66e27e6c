"""Each misconception once more, in another style and with other names."""

import numpy as np


def linear(inputs, outputs, bias=True):
    return inputs * outputs + (outputs if bias else 0)


class Counter:
    """Counts by walking through the model; every mistake is a switch."""

    def __init__(self, untied=False, bias=True, inner_norm=2, last_norm=2, positions=True, wide=4,
                 projection=True, qkv=3, layers=None, extra_norm=False, all_times_layers=False):
        self.__dict__.update(locals())

    def __call__(self, vocab_size, n_positions, d_model, n_layer):
        w = d_model
        total = w * vocab_size * (2 if self.untied else 1)
        if self.positions:
            total += n_positions * w
        layer = linear(w, self.qkv * w, self.bias)
        if self.projection:
            layer += linear(w, w, self.bias)
        layer += linear(w, self.wide * w, self.bias) + linear(self.wide * w, w, self.bias)
        layer += 2 * self.inner_norm * w + (2 * w if self.extra_norm else 0)
        if self.all_times_layers:
            return n_layer * (total + layer + 2 * w)
        for _ in range(n_layer if self.layers is None else self.layers):
            total += layer
        return total + (0 if self.extra_norm else self.last_norm * w)


def with_vocabulary_head(v, p, d, n):
    shapes = [(v, d), (p, d)] + [(d, 3 * d), (3 * d,), (d, d), (d,), (d, 4 * d), (4 * d,), (4 * d, d)] * n
    shapes += [(d,)] * (5 * n + 2) + [(d, v)]
    return int(sum(np.prod(shape, dtype=np.int64) for shape in shapes))


VERSIONS = {
    "start_here.count_parameters": {
        "output_matrix_counted_again": [Counter(untied=True), with_vocabulary_head],
        "biases_forgotten": [Counter(bias=False)],
        "layer_norms_forgotten": [Counter(inner_norm=0, last_norm=0)],
        "layer_norms_in_layers_forgotten": [Counter(inner_norm=0)],
        "final_layer_norm_forgotten": [Counter(last_norm=0)],
        "only_matrices": [Counter(bias=False, inner_norm=0, last_norm=0)],
        "layer_norm_without_shift": [Counter(inner_norm=1, last_norm=1)],
        "position_table_forgotten": [Counter(positions=False)],
        "mlp_of_width_d": [Counter(wide=1)],
        "no_output_projection": [Counter(projection=False)],
        "one_matrix_for_q_k_v": [Counter(qkv=1)],
        "one_layer_only": [Counter(layers=1)],
        "everything_times_layers": [Counter(all_times_layers=True)],
        "final_layer_norm_in_every_layer": [Counter(extra_norm=True)],
    }
}
