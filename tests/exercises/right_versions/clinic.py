"""Right answers of lesson 24 in another style."""

import numpy as np


def one_row_changed(prepare):
    """Each test row in turn far away: nothing but its own result may move."""
    rng = np.random.default_rng(4)
    train, test = rng.normal(size=(9, 2)), rng.normal(size=(5, 2))
    before = prepare(train, test)
    for i in range(5):
        other = test.copy()
        other[i] = -1000, 2000
        after = prepare(train, other)
        if np.abs(before[0] - after[0]).max() > 1e-9 or np.abs(np.delete(before[1] - after[1], i, 0)).max() > 1e-9:
            return True
    return False


def each_query(attend):
    rng = np.random.default_rng(5)
    got = attend(rng.normal(size=(6, 2)), rng.normal(size=(9, 2)), np.full((9, 1), 4.0))
    return max(abs(share - 4) for share in got.ravel().tolist()) > 1e-9


class Counting:
    training, bad = True, 0

    def eval(self):
        self.training = False

    def train(self, mode=True):
        self.training = mode

    def __call__(self, x):
        self.bad += self.training
        return 3 * x


def counted(evaluate):
    model = Counting()
    evaluate(model, [np.ones(4)] * 5)
    return model.bad > 0


RIGHT = {
    "clinic.depends_on_test_rows": [one_row_changed],
    "clinic.weights_do_not_sum_to_one": [each_query],
    "clinic.evaluates_in_training_mode": [counted],
}
