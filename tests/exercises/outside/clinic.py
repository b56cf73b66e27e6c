"""Wrong answers of lesson 24 that no misconception describes."""

import inspect

import numpy as np

from bigmodel_nb import exercises


def always(program):
    return True


def never(program):
    return False


def by_its_name(program):
    return "lambda" in getattr(program, "__name__", "")


def by_its_arguments(program):
    return len(inspect.signature(program).parameters) != 2


def as_text(name):
    def in_words(program):
        return str(exercises.reference(f"clinic.{name}")(program))

    return in_words


def as_number(name):
    def in_numbers(program):
        return int(exercises.reference(f"clinic.{name}")(program))

    return in_numbers


# one or two for each exercise


def rows_only_reordered(prepare):
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(9, 2)), rng.normal(size=(5, 2))
    one, two = prepare(train, test), prepare(train, np.concatenate([test[:1], test[:0:-1]]))
    return not (np.allclose(one[0], two[0]) and np.allclose(one[1][0], two[1][0]))


def all_test_rows_compared(prepare):
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(9, 2)), rng.normal(size=(5, 2))
    return not np.allclose(prepare(train, test)[1], prepare(train, test * 9)[1])


def one_row_cut(summary):
    whole = summary(np.array([[1.0, 2.0, 9.0]]), np.array([2]))
    return not np.isclose(whole, summary(np.array([[1.0, 2.0]]), np.array([2])))


def no_padding_at_all(summary):
    losses = np.arange(6.0).reshape(2, 3)
    return not np.isclose(summary(losses, np.array([3, 3])), losses.mean())


class Net:
    def __init__(self):
        self.training, self.modes = True, []

    def train(self, mode=True):
        self.training = mode

    def eval(self):
        self.training = False

    def __call__(self, x):
        self.modes.append(self.training)
        return x


def mode_before(evaluate):
    return Net().training


def more_training_than_not(evaluate):
    net = Net()
    evaluate(net, [np.ones(1)] * 4)
    return sum(net.modes) > 3


def same_token_everywhere(loss):
    ids = np.zeros(10, int)
    return loss(lambda x: np.tile([5.0, 0.0], (len(x), 1)), ids) > 0.1


def random_model(loss):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 5, 12)
    return loss(lambda x: rng.normal(size=(len(x), 5)), ids) > loss(lambda x: np.zeros((len(x), 5)), ids)


def too_little_only(attend):
    rng = np.random.default_rng(0)
    out = attend(rng.normal(size=(3, 3)), rng.normal(size=(5, 3)), np.ones((5, 1)))
    return bool((out < 1 - 1e-9).all())


def not_negative(attend):
    rng = np.random.default_rng(0)
    return bool((attend(rng.normal(size=(3, 3)), rng.normal(size=(4, 3)), np.eye(4)) < 0).any())


def best_loss_at_the_start(fit):
    count = [0]

    def step(weights):
        count[0] += 1
        weights[0] += 1

    kept = fit([np.zeros(2)], step, lambda weights: float(count[0]), 3)
    return bool((kept[0] != 0).any())


def first_of_two_equal_ones(fit):
    def step(weights):
        weights[0] += 1

    return bool((fit([np.zeros(2)], step, lambda weights: 1.0, 2)[0] != 1).any())


def equal_images(distance):
    image = np.arange(256).astype(np.uint8)
    return distance(image, image) != 0


def one_pair(distance):
    return float(distance(np.array([200], np.uint8), np.array([100], np.uint8))) != 100


def coins(repeat):
    results = repeat(lambda rng: int(rng.integers(2)), 12, 0)
    return len(set(results)) < 12


def counts_only(repeat):
    return len(repeat(lambda rng: rng.random(), 12, 0)) != 12


def triangle(divergence):
    p, q, r = np.array([0.5, 0.5]), np.array([0.7, 0.3]), np.array([0.9, 0.1])
    return divergence(p, r) <= divergence(p, q) + divergence(q, r)


def larger_than_back(divergence):
    p, q = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    return divergence(p, q) <= divergence(q, p)


def only_two_calls(pay):
    calls = []

    def send(amount, key):
        calls.append(key)
        if len(calls) < 3:
            raise TimeoutError
        return "receipt"

    try:
        pay(send, 5, "tea")
    except TimeoutError:
        pass
    return len(calls) == 2


def none_sent(pay):
    keys = []

    def send(amount, key):
        keys.append(key)
        return "receipt"

    pay(send, 5, "tea")
    return None in keys


OWN = {
    "depends_on_test_rows": [rows_only_reordered, all_test_rows_compared],
    "padding_counts": [one_row_cut, no_padding_at_all],
    "evaluates_in_training_mode": [mode_before, more_training_than_not],
    "scores_another_token": [same_token_everywhere, random_model],
    "weights_do_not_sum_to_one": [too_little_only, not_negative],
    "keeps_other_weights": [best_loss_at_the_start, first_of_two_equal_ones],
    "wrong_for_bytes": [equal_images, one_pair],
    "shares_luck": [coins, counts_only],
    "is_another_divergence": [triangle, larger_than_back],
    "may_charge_twice": [only_two_calls, none_sent],
}
OUTSIDE = {
    f"clinic.{name}": [always, never, by_its_name, by_its_arguments, as_text(name), as_number(name), *own]
    for name, own in OWN.items()
}
