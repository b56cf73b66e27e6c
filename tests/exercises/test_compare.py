import numpy as np
import pytest
import torch

from bigmodel_nb.exercises.engine.compare import alike, compare, tolerance

a = np.arange(6.0).reshape(2, 3)


def off(place, by, dtype=np.float64):
    changed = a.astype(dtype)
    changed[place] += by
    return changed


@pytest.mark.parametrize(
    "got, expected, part",
    [
        (a.tolist(), a, "is a list; expected a numpy array"),
        (torch.tensor(a), a, "is a torch tensor; expected a numpy array"),
        (a, torch.tensor(a), "is a numpy array; expected a torch tensor"),
        (a.T, a, "has shape (3, 2); expected (2, 3)"),
        (a.astype(np.float32), a, "has dtype float32; expected float64"),
        (off((1, 2), 1), a, "right shape (2, 3), but result[1, 2] is 6; expected 5 (1 of 6"),
        (off((0, 0), np.nan), a, "result[0, 0] is nan; expected 0"),
        (off((1, 0), 1e-4), a, "is 3.0001; expected 3"),
        (torch.tensor(2.0), torch.tensor(3.0), "is 2; expected 3 (relative tolerance 0.0001)"),
        (None, 3, "is None; expected an int. Is a `return` missing?"),
        (3.0, 3, "is a float; expected an int"),
        (True, 1, "is a bool; expected an int"),
        ("3", 3.0, "is a str; expected a float"),
        (np.array(3.0), 3.0, "is a numpy array; expected a float"),
        (124_439_809, 124_439_808, "124,439,809; expected 124,439,808 (compared exactly)"),
        (0.1 + 0.2 + 1e-4, 0.3, "0.3001; expected 0.3"),
        ((1, 2), (1, 2, 3), "has 2 items, (1, 2); expected 3."),
        ([1], [1, 2], "has 1 item, [1]; expected 2."),
        ((a,), (a, a), "has 1 item; expected 2."),
        ([1, 2], (1, 2, 3), "is a list; expected a tuple"),
        ([1, 3], (1, 2), "result[1] is 3; expected 2"),
        ([[1, 2]], [(1, 2)], "Your result[0] is a list; expected a tuple"),
        (True, False, "Your result is True; expected False."),
        (np.True_, False, "Your result is True; expected False."),
        (1, True, "is an int; expected a bool"),
        (np.int64(1), True, "is an int64; expected a bool"),
        (np.True_, 1, "is a bool; expected an int"),
        ([1, 5], [1, 2], "result[1] is 5; expected 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "has no key 'b'"),
        ({"a": 1, "c": 3}, {"a": 1}, "key too many: 'c'"),
        ({"a": 2}, {"a": 1}, "result['a'] is 2; expected 1"),
        ("x", "y", "is 'x'; expected 'y'"),
    ],
)
def test_first_difference(got, expected, part):
    assert part in compare(got, expected).text


def test_named_items():
    assert "but y[0, 0] is 1" in compare((a, a + 1), (a, a), ("x", "y")).text


@pytest.mark.parametrize(
    "name, text",
    [
        ("labels", "Your labels have shape (3, 2)"),
        ("calls of fn", "Your calls of fn have shape"),
        ("loss", "Your loss has shape"),
        ("list of waits", "Your list of waits has shape"),
        ("mixes_samples", "Your mixes_samples has shape"),
        ("b", "Your b has shape"),
    ],
)
def test_named_items_in_the_plural(name, text):
    assert text in compare((a.T, a), (a, a), (name, "rest")).text


@pytest.mark.parametrize(
    "got, expected",
    [
        (a + 1e-9, a),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        (np.float64(3.0), 3.0),
        (np.True_, True),
        ([np.False_, True], [False, True]),
        ([1, a], (1, a)),
        (np.int64(3), 3),
        (1, 1.0),
        (torch.tensor(a, dtype=torch.bfloat16), torch.tensor(a, dtype=torch.bfloat16)),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
        (np.zeros((0, 4)), np.zeros((0, 4))),
        ([], []),
        ({"a": [1.0, a]}, {"a": [1.0, a.copy()]}),
    ],
)
def test_equal(got, expected):
    assert compare(got, expected) is None


def test_tolerance_follows_the_dtype():
    limits = [tolerance(torch.ones(1, dtype=d), 1) for d in (torch.bfloat16, torch.float16, torch.float32, torch.float64)]
    assert limits == sorted(limits, reverse=True)
    assert tolerance(np.ones(1, dtype=int), np.ones(1, dtype=int)) == 0
    assert tolerance(torch.ones(1, device="meta"), torch.ones(1)) == 10 * tolerance(torch.ones(1), torch.ones(1))


def test_alike_ignores_types():
    assert alike((a, a.tolist()), [torch.tensor(a), a])
    assert alike(3, np.float32(3)) and alike([[1, 2], [3]], ([1, 2], [3]))
    assert not alike(a, a.T) and not alike(a, None) and not alike(3, "3") and not alike({"a": 1}, {"b": 1})
    assert alike(["raised", "KeyError"], ["raised", "KeyError"])
    assert not alike(["raised", "KeyError"], ["raised", "ValueError"])
