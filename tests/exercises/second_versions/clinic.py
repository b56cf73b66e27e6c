"""The misconceptions of lesson 24 in another style."""

import math

import numpy as np

from bigmodel_nb import exercises


def turned(name):
    right = exercises.reference(f"clinic.{name}")

    def test(program):
        if right(program):
            return False
        return True

    return test


# depends_on_test_rows

TRAIN = np.arange(24.0).reshape(8, 3) ** 1.3
TEST = np.array([[1.0, 2.0, 3.0], [4.0, 1.0, 9.0], [2.0, 2.0, 5.0], [7.0, 3.0, 1.0]])


def moved(program, test, part):
    return bool(np.abs(part(program(TRAIN, TEST)) - part(program(TRAIN, test))).max() > 1e-6)


def with_a_giant(rows):
    rows = rows.copy()
    rows[-1] = 1e6
    rows[-2] = -1e5
    return rows


def train_part_moves(program):
    return moved(program, with_a_giant(TEST), lambda result: result[0])


def first_test_row_moves(program):
    return moved(program, np.vstack([TEST[0], [[900.0, 800.0, 700.0]], [[-50.0, 2.0, 500.0]]]), lambda result: result[1][0])


def rest_moved(keep):
    def test(program):
        other = 1e3 - TEST * 50
        other[keep] = TEST[keep]
        return moved(program, other, lambda result: np.vstack([result[0], result[1][keep]]))

    return test


def not_standard(program):
    train, _ = program(TRAIN, TEST)
    return any(abs(column.mean()) > 1e-6 or abs(column.var() - 1) > 1e-6 for column in train.T)


def see_saw(program):
    other = TEST + np.array([[0.0], [500.0], [-200.0], [-300.0]])
    return moved(program, other, lambda result: result[0]) or moved(program, other, lambda result: result[1][0])


def mirrored(program):
    test = np.array([[1.0, 2.0, 3.0], [40.0, 100.0, 90.0], [2.0, 200.0, 5.0], [70.0, 3.0, 100.0]])
    signs = np.array([[1.0], [-1.0], [-1.0], [-1.0]])
    one, two = program(TRAIN, test), program(TRAIN, test * signs)
    return not (np.allclose(one[0], two[0]) and np.allclose(one[1][:1], two[1][:1]))


# padding_counts


def table(fill, width=4):
    out = np.full((2, width), fill)
    out[0, :3], out[1, :1] = (0.5, 1.5, 2.5), 4.0
    return out


LENGTHS = np.array([3, 1])


def results_of(*tables):
    return lambda summary: [round(float(summary(it, LENGTHS)), 9) for it in tables]


def other_numbers(summary):
    a, b = results_of(table(9.0, 4), table(2.0, 4))(summary)
    return a != b


def broader(summary):
    full = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    wide = np.hstack([full[:, :], np.zeros((2, 4))])
    lengths = np.array([3, 2])
    return abs(summary(full, lengths) - summary(wide, lengths)) > 1e-9


def tokens_mean(summary):
    return abs(summary(table(3.0), LENGTHS) - (0.5 + 1.5 + 2.5 + 4.0) / 4) > 1e-9


def poisoned(summary):
    clean, poison = summary(table(3.0), LENGTHS), summary(table(math.nan), LENGTHS)
    return not abs(clean - poison) < 1e-9


# evaluates_in_training_mode


class Net:
    """Dropout of all or nothing, from the global random numbers."""

    def __init__(self):
        self.training, self.evals, self.log = True, 0, []

    def train(self, mode=True):
        self.training = mode

    def eval(self):
        self.evals += 1
        self.training = False

    def __call__(self, x):
        self.log += [self.training]
        return np.where(np.random.rand(*x.shape) < 0.5, 0, x) if self.training else x


def run(evaluate, n=5):
    net = Net()
    value = evaluate(net, [np.arange(1.0, 50)] * n)
    return net, value


def two_values(evaluate):
    return len({run(evaluate)[1] for _ in range(3)}) > 1


class Noisy(Net):
    def __init__(self):
        super().__init__()
        self.draw = np.random.default_rng(5)

    def __call__(self, x):
        return x + self.draw.normal(size=x.shape) * self.training


def two_visits(evaluate):
    net, data = Noisy(), [np.zeros(3)] * 2
    first = evaluate(net, data)
    return abs(first - evaluate(net, data)) > 1e-12


class Loud(Net):
    def __call__(self, x):
        return np.full(3, 100.0 * self.training)


def result_seen(evaluate):
    return evaluate(Loud(), [np.zeros(3)] * 4) > 0


class LessonNet(Net):
    def __init__(self):
        super().__init__()
        self.draw = np.random.default_rng(0)

    def __call__(self, x):
        kept = self.draw.random(x.shape) < 0.5
        return np.where(kept, 2 * x, 0) if self.training else x


def lesson_net_twice(evaluate):
    net = LessonNet()
    return len({evaluate(net, [np.ones(20)] * 3) for _ in "12"}) == 2


def mode_at_the_end(evaluate):
    net, _ = run(evaluate)
    return net.training is True


def evals_counted(evaluate):
    return run(evaluate)[0].evals == 0


def first_call(evaluate):
    return run(evaluate, n=4)[0].log[0]


def one_batch(evaluate):
    return True in run(evaluate, n=1)[0].log


def last_call(evaluate):
    return run(evaluate, n=3)[0].log.pop()


# scores_another_token

TEXT = [5, 2, 7, 0, 3, 6, 1, 4, 8]


def liking(loss, ahead, text=TEXT):
    size = len(text)

    def model(x):
        rows = np.zeros((len(x), size))
        for i, token in enumerate(x):
            rows[i, text[(text.index(token) + ahead) % size]] = 12
        return rows

    return loss(model, np.array(text))


def not_zero(loss):
    return not liking(loss, 1) < 0.2


def echo_wins(loss):
    return liking(loss, 1) - liking(loss, 0) > 1e-12


def second_wins(loss):
    return liking(loss, 1) - liking(loss, 2) > 1e-12


def see_saw_text(loss):
    text = np.tile([1, 0], 6)
    other = lambda x: 10.0 * np.eye(2)[1 - x]  # noqa: E731
    same = lambda x: 10.0 * np.eye(2)[x]  # noqa: E731
    return loss(other, text) >= loss(same, text)


def two_rivals(loss):
    return max(liking(loss, 1) - liking(loss, ahead) for ahead in (0, 2)) > 1e-12


# weights_do_not_sum_to_one


def table_of(attend, q, k):
    return attend(q, k, np.identity(len(k)))


def many(n, m):
    numbers = np.sin(np.arange(1, 1 + 4 * (n + m))).reshape(n + m, 4) * 2
    return numbers[:n], numbers[n:]


def zero_vectors(attend):
    out = attend(np.zeros((3, 5)), np.zeros((3, 5)), np.full((3, 1), 7.0))
    return bool(np.abs(out - 7).max() > 1e-9)


def lonely_query(attend):
    return abs(table_of(attend, *many(1, 5)).sum() - 1) > 1e-9


def in_all(attend):
    return abs(float(attend(*many(4, 7), np.ones((7, 1))).sum()) - 4) > 1e-9


def on_average(attend):
    return not math.isclose(attend(*many(3, 5), np.full((5, 2), 2.0)).mean(), 2)


def down_the_columns(attend):
    return any(abs(column.sum() - 1) > 1e-9 for column in table_of(attend, *many(3, 5)).T)


def not_mine(attend):
    q, k = many(3, 5)
    scores = np.exp(q @ k.T / 2)
    return np.abs(table_of(attend, q, k) - scores / scores.sum(1)[:, None]).max() > 1e-9


def outside_the_range(seed):
    def test(attend):
        rng = np.random.default_rng(seed)
        q, k = (rng.standard_normal((n, 4)) for n in (3, 5))
        v = rng.standard_normal((5, 2))
        for got, column in zip(attend(q, k, v).T, v.T):
            if got.min() < column.min() - 1e-9 or got.max() > column.max() + 1e-9:
                return True
        return False

    return test


# keeps_other_weights


def trained(fit, curve):
    weights, clock = [np.zeros((1, 2)), np.zeros(4)], {"now": 0}

    def step(weights):
        clock["now"] += 1
        weights[0][:] = clock["now"]
        weights[1][:] = clock["now"]

    return fit(weights, step, lambda weights: curve[clock["now"] - 1], len(curve)), weights


def downhill(fit):
    kept, _ = trained(fit, [0.9, 0.5, 0.3, 0.2])
    return any((array != 4).any() for array in kept)


def head_only(fit):
    return float(trained(fit, [0.9, 0.2, 0.3])[0][0].mean()) != 2.0


def is_mine(fit):
    kept, weights = trained(fit, [0.9, 0.2, 0.3])
    return id(kept) == id(weights)


def overlapping(fit):
    kept, weights = trained(fit, [0.9, 0.2, 0.3])
    return any(np.may_share_memory(a, b) for a in kept for b in weights)


# wrong_for_bytes


def misses(distance, dark, bright):
    return abs(float(distance(dark, bright)) - np.abs(dark.astype(float) - bright).mean()) > 1e-3


def grey(value, *shape):
    return np.zeros(shape, np.uint8) + np.uint8(value)


def dim_images(distance):
    return any(misses(distance, grey(a, 6), grey(b, 6)) for a in range(0, 12, 3) for b in range(0, 12, 4))


def large_dim_images(distance):
    return dim_images(distance) or misses(distance, grey(0, 300, 300), grey(8, 300, 300))


def brighter_first(distance):
    return any(misses(distance, grey(b, n), grey(a, n)) for a, b, n in ((0, 1, 1), (10, 250, 4), (0, 255, 90_000)))


def one_pixel(distance):
    return any(misses(distance, grey(a, 1), grey(b, 1)) for a in range(0, 256, 17) for b in range(0, 256, 17))


def turned_over(distance):
    a = np.arange(0, 250, 7).astype(np.uint8)
    b = (a // 3 + 5).astype(np.uint8)
    return abs(float(distance(a, b)) - float(distance(b, a))) > 1e-3


def a_double(distance):
    value = distance(grey(1, 2), grey(5, 2))
    return value != 4 or not isinstance(value, float)


# shares_luck


def numbers(repeat, n=15):
    return np.array(repeat(lambda rng: rng.standard_normal() + rng.random(), n, 8))


def no_spread(repeat):
    return float(np.ptp(numbers(repeat))) == 0


def pair(repeat):
    first, second = numbers(repeat, 2)
    return first == second


def side_by_side(repeat):
    return bool((np.diff(numbers(repeat)) == 0).any())


def again(repeat):
    return not np.array_equal(numbers(repeat), numbers(repeat))


# is_another_divergence


def nats(divergence):
    p, q = np.array([0.25, 0.75]), np.array([0.5, 0.5])
    return abs(divergence(p, q) - (0.25 * math.log(0.5) + 0.75 * math.log(1.5))) > 1e-6


def mirror(divergence):
    p, q = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])
    return divergence(p, q) <= 1e-9 or abs(divergence(p, q) / divergence(q, p) - 1) > 1e-6


def ratio_only(divergence):
    p, q = np.array([0.25, 0.75]), np.array([0.5, 0.5])
    forth = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    back = 0.5 * math.log(2) - 0.5 * math.log(1.5)
    return abs(divergence(p, q) / divergence(q, p) - forth / back) > 1e-6


def nothing_at_equal(divergence):
    p = np.array([0.25, 0.25, 0.5])
    return abs(divergence(p, p)) > 1e-9


def same_both_ways(divergence):
    p, q = np.array([0.25, 0.75]), np.array([0.5, 0.5])
    return abs(divergence(p, q) - divergence(q, p)) < 1e-9


# may_charge_twice


class Bank:
    def __init__(self, lost, keeps_none=False, fails_first=False):
        self.lost, self.keeps_none, self.fails_first = lost, keeps_none, fails_first
        self.calls, self.total, self.known = 0, 0, set()

    def send(self, amount, key):
        self.calls += 1
        if self.fails_first and self.calls <= self.lost:
            raise TimeoutError("too busy")
        if key not in self.known or (key is None and not self.keeps_none):
            self.total += amount
            self.known.add(key)
        if self.calls <= self.lost:
            raise TimeoutError("no answer")
        return f"receipt of {amount}"


def visit(pay, **how):
    bank = Bank(**how)
    try:
        pay(bank.send, 40, "book")
    except TimeoutError:
        pass
    return bank


def quiet_bank(pay):
    return visit(pay, lost=0).total > 40


def busy_bank(pay):
    return visit(pay, lost=1, fails_first=True).total > 40


def one_lost(pay):
    return visit(pay, lost=1).total != 40


def many_calls(pay):
    return visit(pay, lost=1).calls > 1


def set_of_keys(pay):
    keys = set()

    def send(amount, key):
        keys.add(key)
        raise TimeoutError

    try:
        pay(send, 9, "cup")
    except TimeoutError:
        pass
    return len(keys) > 1


def dead_line(pay):
    return visit(pay, lost=99).total > 40


def none_known(pay):
    return max(visit(pay, lost=lost, keeps_none=True).total for lost in (0, 1, 2)) > 40


VERSIONS = {
    "clinic.depends_on_test_rows": {
        "training_rows_only": [train_part_moves],
        "test_rows_only": [first_test_row_moves],
        "one_row_only": [rest_moved(0), rest_moved(len(TEST) - 1)],
        "mean_zero_wanted": [not_standard],
        "mean_left_as_it_was": [see_saw],
        "size_left_as_it_was": [mirrored],
        "answer_turned_round": [turned("depends_on_test_rows")],
    },
    "clinic.padding_counts": {
        "values_only": [other_numbers],
        "width_only": [broader],
        "token_mean_wanted": [tokens_mean],
        "nan_in_padding": [poisoned],
        "answer_turned_round": [turned("padding_counts")],
    },
    "clinic.evaluates_in_training_mode": {
        "called_twice": [two_values, two_visits, result_seen, lesson_net_twice],
        "mode_afterwards": [mode_at_the_end],
        "eval_was_called": [evals_counted],
        "first_batch_only": [first_call, one_batch],
        "last_batch_only": [last_call],
        "answer_turned_round": [turned("evaluates_in_training_mode")],
    },
    "clinic.scores_another_token": {
        "zero_wanted": [not_zero],
        "echo_only": [echo_wins],
        "two_ahead_only": [second_wins],
        "odd_shifts_pass": [see_saw_text, two_rivals],
        "answer_turned_round": [turned("scores_another_token")],
    },
    "clinic.weights_do_not_sum_to_one": {
        "zeros_put_in": [zero_vectors],
        "one_query_only": [lonely_query],
        "columns_summed": [down_the_columns],
        "own_attention_wanted": [not_mine],
        "range_looked_at": [outside_the_range(seed) for seed in (0, 2, 3, 4, 6, 8, 20)],
        "total_only": [in_all, on_average],
        "answer_turned_round": [turned("weights_do_not_sum_to_one")],
    },
    "clinic.keeps_other_weights": {
        "loss_only_falls": [downhill],
        "first_array_only": [head_only],
        "same_object": [is_mine],
        "shared_memory": [overlapping],
        "answer_turned_round": [turned("keeps_other_weights")],
    },
    "clinic.wrong_for_bytes": {
        "small_differences_only": [dim_images, large_dim_images],
        "one_way_only": [brighter_first],
        "few_pixels_only": [one_pixel],
        "symmetry_only": [turned_over],
        "double_wanted": [a_double],
        "answer_turned_round": [turned("wrong_for_bytes")],
    },
    "clinic.shares_luck": {
        "all_alike_only": [no_spread],
        "two_repeats_only": [pair],
        "neighbours_only": [side_by_side],
        "repeatability_tested": [again],
        "answer_turned_round": [turned("shares_luck")],
    },
    "clinic.is_another_divergence": {
        "nats_wanted": [nats],
        "mirrored_pair": [mirror],
        "zero_at_equal_only": [nothing_at_equal],
        "sign_ignored": [ratio_only],
        "asymmetry_only": [same_both_ways],
        "answer_turned_round": [turned("is_another_divergence")],
    },
    "clinic.may_charge_twice": {
        "answers_never_lost": [quiet_bank, busy_bank],
        "one_answer_lost": [one_lost],
        "calls_counted": [many_calls],
        "none_is_a_key": [none_known, set_of_keys],
        "no_answer_ever": [dead_line],
        "answer_turned_round": [turned("may_charge_twice")],
    },
}
