"""The gridworld's mathematics, input and fallback."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from grids import tables

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import GridWorld
from bigmodel_nb.widgets.grid_world import KINDS, LIMIT, Draws, best_actions, q_learning, sweeps

ROWS = ["..#G", "S..X"]


@pytest.fixture
def world():
    return tables(ROWS)


def test_sweeps_end_at_the_solution_of_the_linear_equations():
    rows = ["S...", ".#.X", "...G"]
    next_state, reward, done = map(np.array, tables(rows, living=-0.1))
    Q = sweeps((next_state, reward, done), 0.8, 200)
    best, every = Q.argmax(axis=1), np.arange(12)
    P = np.zeros((12, 12))
    P[every, next_state[every, best]] = ~done[every, best]
    v = np.linalg.solve(np.eye(12) - 0.8 * P, reward[every, best])
    assert np.allclose(v, Q.max(axis=1))


def test_sweeps_carry_the_reward_one_cell_a_sweep():
    world = tables(["S..G"])
    assert [sweeps(world, 0.5, n)[0].max() for n in range(5)] == [0, 0, 0, 0.25, 0.25]


def test_q_learning_finds_the_same_values():
    world = tables(["S..G"])
    found = q_learning(world, 0, 0.9, 0.5, 0.5, 3, 3000)["Q"]
    assert np.allclose(found, sweeps(world, 0.9, 50), atol=1e-6)


def test_q_learning_goes_step_by_step(world):
    for count in range(1, 120):
        before, after = (q_learning(world, 4, 0.9, 0.5, 0.3, 1, n) for n in (count - 1, count))
        last, changed = after["last"], np.argwhere(before["Q"] != after["Q"])
        assert len(changed) <= 1 and all((s, a) == (last["s"], last["a"]) for s, a in changed)
        assert last["new"] == pytest.approx(0.5 * last["old"] + 0.5 * (last["r"] + 0.9 * last["best"]))
        assert after["path"][0] == 4 and after["path"][-1] == after["s"]
        assert not last["done"] or last["best"] == 0
        over = before["last"] and (before["last"]["done"] or len(before["path"]) > LIMIT)
        assert after["episode"] - before["episode"] == bool(over)


def test_epsilon_and_seed():
    world = tables(["...", ".S.", "..."])
    runs = [q_learning(world, 4, 0.9, 0.5, 0.0, seed, 40)["path"] for seed in range(20)]
    assert len({path[1] for path in runs}) == 4  # ties are broken by lot, to all four sides
    assert runs[0] == q_learning(world, 4, 0.9, 0.5, 0.0, 0, 40)["path"]


def test_draws_are_uniform():
    draws = Draws(7)
    values = [draws() for _ in range(20_000)]
    assert 0 <= min(values) and max(values) < 1 and abs(np.mean(values) - 0.5) < 0.01
    assert abs(np.var(values) - 1 / 12) < 0.002 and abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.02


def test_best_actions():
    assert best_actions([1, 1 - 1e-12, 0, 0]) == [0, 1] and best_actions([-1, -1, -1, -1]) == []


def test_shows_the_values_of_its_step(world):
    widget = GridWorld(ROWS, world, gamma=0.9, step=0)
    assert not widget.Q.any()
    widget.step = 20
    assert np.allclose(widget.Q, sweeps(world, 0.9, 20)) and widget.values.shape == (2, 4)
    widget.method, widget.step = "Q-learning", 300
    assert np.array_equal(widget.Q, widget.run()["Q"]) and widget.cell == 4
    assert all(isinstance(part, list) for part in widget.world)


def test_text_form(world):
    assert repr(GridWorld(ROWS, world, step=30)) == (
        "GridWorld 2 x 4, discount 0.9: after 30 sweeps of value iteration, the start is worth 0.00"
    )
    text = repr(GridWorld(["S.G"], tables(["S.G"]), method="Q-learning", step=200))
    assert text.startswith("GridWorld 1 x 3, discount 0.9: after 200 steps of Q-learning, episode ")
    assert text.endswith("the start is worth 0.90")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"layout": ["S.", "..."]}, "rows of equal length"),
        ({"layout": []}, "rows of equal length"),
        ({"layout": ["<b>S", "...."]}, "received '<'"),
        ({"layout": ["....", "...G"]}, "one start"),
        ({"layout": ["S" + "." * 12]}, "at most 12"),
        ({"world": ([[0]],)}, "received 1 parts"),
        ({"world": tables(["S."])}, r"shape \(8, 4\)"),
        ({"world": (np.full((8, 4), 8), np.zeros((8, 4)), np.zeros((8, 4)))}, "states from 0 to 7"),
        ({"world": (np.zeros((8, 4)), np.full((8, 4), math.nan), np.zeros((8, 4)))}, "finite"),
        ({"gamma": 1.5}, "gamma must lie between 0 and 1; received 1.5"),
        ({"step": 61}, "step must lie between 0 and 60"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"alpha": math.nan}, "alpha"),
        ({"method": "SARSA"}, "received 'SARSA'"),
        ({"cell": 8}, "cell must be a state, 0 to 7"),
    ],
)
def test_wrong_input_is_named(world, change, message):
    with pytest.raises(DataError, match=message):
        GridWorld(**{"layout": ROWS, "world": world, **change})


@pytest.mark.parametrize("method", ["value iteration", "Q-learning"])
def test_fallback(world, method):
    widget = GridWorld(ROWS, world, method=method, step=40)
    svg = widget.static_svg()
    ET.fromstring(svg)
    assert svg == GridWorld(ROWS, world, method=method, step=40).static_svg()
    assert all(word in svg for word in (KINDS["G"], KINDS["X"], "start", "polygon"))
    assert widget.static_png().startswith(b"\x89PNG")


def test_output_is_small(world):
    data, _ = GridWorld(ROWS, world)._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
    rows = ["S" + "." * 11] + ["." * 12] * 11
    widget = GridWorld(rows, tables(rows), step=60)
    data, _ = widget._repr_mimebundle_()
    assert len(json.dumps(data)) < 150_000 and len(json.dumps(widget.get_state())) < 80_000
