"""Wrong answers that no misconception describes."""


def approximate(vocab_size, n_positions, d_model, n_layer):
    return 12 * n_layer * d_model**2


def untied_without_biases(vocab_size, n_positions, d_model, n_layer):
    return 2 * vocab_size * d_model + n_positions * d_model + 12 * n_layer * d_model**2 + 2 * d_model


def squared_table(vocab_size, n_positions, d_model, n_layer):
    return vocab_size * d_model + n_positions**2 + n_layer * (12 * d_model**2 + 13 * d_model) + 2 * d_model


def one_too_many(vocab_size, n_positions, d_model, n_layer):
    return right(vocab_size, n_positions, d_model, n_layer) + 1


def right_as_float(vocab_size, n_positions, d_model, n_layer):
    return float(right(vocab_size, n_positions, d_model, n_layer))


def right_as_text(vocab_size, n_positions, d_model, n_layer):
    return str(right(vocab_size, n_positions, d_model, n_layer))


def in_millions(vocab_size, n_positions, d_model, n_layer):
    return right(vocab_size, n_positions, d_model, n_layer) // 10**6 * 10**6


def learnt_by_heart(vocab_size, n_positions, d_model, n_layer):
    return {768: 124_439_808, 1024: 354_823_168}.get(d_model, 0)


def right(v, p, d, n):
    return v * d + p * d + n * (12 * d * d + 13 * d) + 2 * d


OUTSIDE = {
    "start_here.count_parameters": [
        approximate,
        untied_without_biases,
        squared_table,
        one_too_many,
        right_as_float,
        right_as_text,
        in_millions,
        learnt_by_heart,
    ]
}
