"""Exercises of lesson 00."""

from __future__ import annotations

from .engine.model import Check, Exercise, Misconception


def count_parameters(vocab_size, n_positions, d_model, n_layer):
    """Number of parameters of a GPT-2 whose output matrix is its token embedding -> int"""
    embeddings = vocab_size * d_model + n_positions * d_model
    attention = d_model * 3 * d_model + 3 * d_model + d_model * d_model + d_model
    mlp = d_model * 4 * d_model + 4 * d_model + 4 * d_model * d_model + d_model
    layer_norm = 2 * d_model  # scale and shift
    block = layer_norm + attention + layer_norm + mlp
    return embeddings + n_layer * block + layer_norm


# Checks

GPT2_SIZES = (  # vocab_size, n_positions, d_model, n_layer of the four released models
    ((50257, 1024, 768, 12), 124_439_808),
    ((50257, 1024, 1024, 24), 354_823_168),
    ((50257, 1024, 1280, 36), 774_030_080),
    ((50257, 1024, 1600, 48), 1_557_611_200),
)


def _named_shapes(vocab_size, n_positions, d_model, n_layer):
    """Shapes of all tensors of a GPT-2, listed one by one: the oracle."""
    d = d_model
    yield from [(vocab_size, d), (n_positions, d), (d,), (d,)]
    for _ in range(n_layer):
        yield from [(d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,)]
        yield from [(d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,)]


def _listed(case) -> int:
    total = 0
    for shape in _named_shapes(*case):
        size = 1
        for n in shape:
            size *= n
        total += size
    return total


def _check_small(attempt):
    attempt.expect((11, 7, 5, 1), _listed((11, 7, 5, 1)), "One layer, d_model 5: count it by hand.")
    attempt.expect((11, 7, 5, 3), _listed((11, 7, 5, 3)), "The same with three layers.")


def _check_no_layers(attempt):
    why = "With no layers only the two tables and the last layer norm are left."
    attempt.expect((11, 7, 5, 0), _listed((11, 7, 5, 0)), why)


def _check_random(attempt):
    import numpy as np

    rng = np.random.default_rng(0)
    for _ in range(20):
        case = _sample(rng)
        attempt.expect(case, _listed(case))


def _check_released(attempt):
    for case, count in GPT2_SIZES:
        attempt.expect(case, count, "That is the size of a released GPT-2.")


def _sample(rng):
    return tuple(int(n) for n in (*rng.integers(2, 500, 2), rng.integers(1, 60), rng.integers(0, 9)))


def _probes():
    return [(101, 17, 8, 3), (50257, 1024, 768, 12), (53, 200, 20, 5)]


# Misconceptions


def _parts(vocab_size, n_positions, d_model, n_layer):
    """tokens, positions, matrices of the layers, their biases, their layer norms, the last one."""
    d = d_model
    return [vocab_size * d, n_positions * d, n_layer * 12 * d * d, n_layer * 9 * d, n_layer * 4 * d, 2 * d]


def _without(*places):
    def wrong(vocab_size, n_positions, d_model, n_layer):
        parts = _parts(vocab_size, n_positions, d_model, n_layer)
        return sum(part for place, part in enumerate(parts) if place not in places)

    return wrong


def _plus(extra):
    def wrong(vocab_size, n_positions, d_model, n_layer):
        return sum(_parts(vocab_size, n_positions, d_model, n_layer)) + extra(
            vocab_size, n_positions, d_model, n_layer
        )

    return wrong


_MISCONCEPTIONS = (
    Misconception(
        "output_matrix_counted_again",
        _plus(lambda vocab_size, n_positions, d_model, n_layer: vocab_size * d_model),
        "You have vocab_size * d_model once too often. Which matrix turns the last hidden vectors "
        "into logits in GPT-2, and have you counted its numbers already?",
    ),
    Misconception(
        "biases_forgotten",
        _without(3),
        "Matrices and layer norms are right. Each of the four linear maps of a layer also adds "
        "something to its output: how many numbers is that, for outputs of width 3d, d, 4d and d?",
    ),
    Misconception(
        "layer_norms_forgotten",
        _without(4, 5),
        "The tables and linear maps are right. What does a layer norm learn, and how many of them "
        "are there in a layer and after the last one?",
    ),
    Misconception(
        "layer_norms_in_layers_forgotten",
        _without(4),
        "The last layer norm is counted, those inside the layers are not. Where does a GPT-2 layer "
        "normalise?",
    ),
    Misconception(
        "final_layer_norm_forgotten",
        _without(5),
        "You are 2 * d_model short, whatever the number of layers. What happens between the last "
        "layer and the logits?",
    ),
    Misconception(
        "only_matrices",
        _without(3, 4, 5),
        "All matrices are there. Now the vectors: what do the linear maps add, and what do the "
        "layer norms learn?",
    ),
    Misconception(
        "layer_norm_without_shift",
        _plus(lambda vocab_size, n_positions, d_model, n_layer: -(2 * n_layer + 1) * d_model),
        "Your layer norms hold d_model numbers each. After dividing by the standard deviation, "
        "what else does one learn beside a scale?",
    ),
    Misconception(
        "position_table_forgotten",
        _without(1),
        "The token table is there. How does a GPT-2 know where in the text a token stands?",
    ),
    Misconception(
        "mlp_of_width_d",
        _plus(lambda v, p, d, n_layer: -n_layer * (6 * d * d + 3 * d)),
        "Your MLP maps d_model to d_model. How wide is the hidden layer of GPT-2's MLP?",
    ),
    Misconception(
        "no_output_projection",
        _plus(lambda v, p, d, n_layer: -n_layer * (d * d + d)),
        "Queries, keys and values are there. What happens to the joined heads before they are "
        "added to the residual stream?",
        also=(_plus(lambda v, p, d, n_layer: -n_layer * d * d),),
    ),
    Misconception(
        "one_matrix_for_q_k_v",
        _plus(lambda v, p, d, n_layer: -n_layer * (2 * d * d + 2 * d)),
        "Attention has one matrix too few or too narrow in your count. How many different "
        "vectors does each token make before the scores are computed?",
        also=(_plus(lambda v, p, d, n_layer: -n_layer * 2 * d * d),),
    ),
    Misconception(
        "one_layer_only",
        lambda vocab_size, n_positions, d_model, n_layer: sum(
            _parts(vocab_size, n_positions, d_model, 1)
        ),
        "Your count doesn't change with n_layer. Do the layers share their weights?",
    ),
    Misconception(
        "everything_times_layers",
        lambda vocab_size, n_positions, d_model, n_layer: n_layer
        * sum(_parts(vocab_size, n_positions, d_model, 1)),
        "You multiply the whole sum by n_layer. Which parts exist once in the model, not once in "
        "every layer?",
    ),
    Misconception(
        "final_layer_norm_in_every_layer",
        lambda vocab_size, n_positions, d_model, n_layer: sum(
            _parts(vocab_size, n_positions, d_model, n_layer)
        )
        + 2 * d_model * (n_layer - 1),
        "Each of your layers has three layer norms. One of them stands after the last layer only.",
    ),
)

EXERCISES = (
    Exercise(
        id="start_here.count_parameters",
        reference=count_parameters,
        difficulty=2,
        minutes=8,
        section="How large is large?",
        hints=(
            "Three sums: two embedding tables at the entrance, n_layer equal layers, one layer "
            "norm at the end. The output matrix is the token table used again.",
            "A layer holds two layer norms (a scale and a shift each), attention (d to 3d, then d "
            "to d) and an MLP (d to 4d, then 4d to d). A linear map from m to n has m * n weights "
            "and n biases.",
            "Per layer that is 12 * d_model**2 + 13 * d_model. Add the tables of vocab_size and "
            "n_positions rows, and 2 * d_model for the last layer norm.",
        ),
        checks=(
            Check("small sizes", _check_small),
            Check("no layers", _check_no_layers),
            Check("random sizes", _check_random),
            Check("the released models", _check_released),
        ),
        misconceptions=_MISCONCEPTIONS,
        probes=_probes,
        sample=_sample,
    ),
)
