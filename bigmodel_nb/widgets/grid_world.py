"""A gridworld to step through: sweeps of value iteration, or steps of Q-learning.

`sweeps` and `q_learning` are the mathematics; grid_world.js holds the same in JavaScript, so that
stepping and another discount need no kernel, and tests compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, GREEN, RED

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left: the columns of every table
NAMES = ("up", "right", "down", "left")
KINDS = {".": "free", "S": "start", "#": "wall", "G": "goal", "X": "pit"}
METHODS = ("value iteration", "Q-learning")
MOST_SWEEPS, MOST_STEPS = 60, 3000
SAME = 1e-9  # values closer than this are equally good
LIMIT = 100  # steps of an episode
LARGEST = 12  # rows or columns


class Draws:
    """Numbers between 0 and 1, the same in Python and in the browser (mulberry32, Tommy Ettinger).

    >>> draws = Draws(1)
    >>> round(draws(), 4), round(draws(), 4)
    (0.6271, 0.0027)
    """

    def __init__(self, seed: int) -> None:
        self.state = seed & 0xFFFFFFFF

    def __call__(self) -> float:
        self.state = (self.state + 0x6D2B79F5) & 0xFFFFFFFF
        x = self.state
        x = ((x ^ x >> 15) * (x | 1)) & 0xFFFFFFFF
        x ^= (x + (x ^ x >> 7) * (x | 61)) & 0xFFFFFFFF
        return (x ^ x >> 14) / 2**32


def sweeps(world: Sequence, gamma: float, count: int) -> np.ndarray:
    """The table Q (states, 4) after so many sweeps of value iteration from zeros.

    world: next_state, reward and done, each (states, 4).

    >>> sweeps(([[1], [1]], [[1.0], [0.0]], [[True], [True]]), 0.9, 1).tolist()
    [[1.0], [0.0]]
    """
    next_state, reward, done = (np.asarray(part) for part in world)
    Q = np.zeros(reward.shape)
    for _ in range(count):
        Q = reward + gamma * ~done.astype(bool) * Q[next_state].max(axis=-1)
    return Q


def q_learning(world: Sequence, start: int, gamma: float, alpha: float, epsilon: float, seed: int, count: int) -> dict:
    """So many steps of Q-learning from zeros, each episode from `start`.

    -> Q; s, where the agent is; path, where it has been in this episode; episode, its number from 1;
    paid, how many episodes ended with a reward above 0; last, the last update, or None
    """
    next_state, reward, done = world
    draws, Q = Draws(seed), [[0.0] * len(row) for row in reward]
    s, path, episode, paid, last = start, [start], 1, 0, None
    for _ in range(count):
        if last and (last["done"] or len(path) > LIMIT):
            s, path, episode = start, [start], episode + 1
        a = _choose(Q[s], epsilon, draws)
        r, after, end = reward[s][a], next_state[s][a], bool(done[s][a])
        best, old = 0.0 if end else max(Q[after]), Q[s][a]
        Q[s][a] = old + alpha * (r + gamma * best - old)
        last = {"s": s, "a": a, "r": r, "old": old, "best": best, "new": Q[s][a], "done": end}
        paid += end and r > 0
        s = after
        path = [*path, s]
    return {"Q": np.array(Q), "s": s, "path": path, "episode": episode, "paid": paid, "last": last}


def _choose(values: list[float], epsilon: float, draws: Draws) -> int:
    """Any action with probability epsilon, else one of the best."""
    among = range(len(values)) if draws() < epsilon else [i for i, q in enumerate(values) if q > max(values) - SAME]
    return list(among)[int(draws() * len(among))]


class GridWorld(CourseWidget):
    """Values and best actions of a gridworld, step by step.

    layout: rows of text, "." free, "S" start, "#" wall, "G" goal, "X" pit; world: arrays next_state,
    reward and done, each (states, 4), where the state is row * columns + column and the actions are up,
    right, down, left; gamma: the discount; method: "value iteration" or "Q-learning"; step: how many
    sweeps, or steps of the agent, to show; alpha, epsilon, seed: of Q-learning. Errors: DataError for
    what is none of these.
    """

    _esm = front_end("grid_world")
    _css = style("grid_world")

    layout_rows = t.List(t.Unicode()).tag(sync=True)
    next_state = t.List(t.List(t.Int())).tag(sync=True)
    reward = t.List(t.List(t.Float())).tag(sync=True)
    done = t.List(t.List(t.Bool())).tag(sync=True)
    gamma = t.Float(0.9).tag(sync=True)
    method = t.Unicode("value iteration").tag(sync=True)
    step = t.Int(0).tag(sync=True)
    alpha = t.Float(0.5).tag(sync=True)
    epsilon = t.Float(0.2).tag(sync=True)
    seed = t.Int(0).tag(sync=True)
    cell = t.Int(0).tag(sync=True)

    def __init__(self, layout, world, gamma=0.9, method="value iteration", step=0, alpha=0.5, epsilon=0.2, seed=0, cell=None):
        rows = _rows(layout)
        tables = _tables(world, len(rows) * len(rows[0]))
        if method not in METHODS:
            raise DataError(f"method is {' or '.join(map(repr, METHODS))}; received {method!r}.")
        most = MOST_SWEEPS if method == METHODS[0] else MOST_STEPS
        limits = {"gamma": (gamma, 0, 1), "alpha": (alpha, 0, 1), "epsilon": (epsilon, 0, 1), "step": (step, 0, most)}
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise DataError(f"{name} must lie between {low} and {high}; received {value!r}.")
        start = "".join(rows).index("S")
        if cell is not None and not 0 <= cell < len(tables[0]):
            raise DataError(f"cell must be a state, 0 to {len(tables[0]) - 1}; received {cell!r}.")
        super().__init__(
            layout_rows=rows, next_state=tables[0], reward=tables[1], done=tables[2], gamma=float(gamma),
            method=method, step=int(step), alpha=float(alpha), epsilon=float(epsilon), seed=int(seed),
            cell=start if cell is None else int(cell),
        )  # fmt: skip

    @property
    def world(self) -> tuple[list, list, list]:
        """The three tables."""
        return self.next_state, self.reward, self.done

    @property
    def Q(self) -> np.ndarray:
        """The table (states, 4) at this step."""
        return sweeps(self.world, self.gamma, self.step) if self.method == METHODS[0] else self.run()["Q"]

    def run(self) -> dict:
        """What Q-learning has done by this step; see `q_learning`."""
        start = "".join(self.layout_rows).index("S")
        return q_learning(self.world, start, self.gamma, self.alpha, self.epsilon, self.seed, self.step)

    @property
    def values(self) -> np.ndarray:
        """The best value of each state, (rows, columns)."""
        return self.Q.max(axis=1).reshape(len(self.layout_rows), -1)

    def describe(self) -> str:
        value = self.Q["".join(self.layout_rows).index("S")].max()
        if self.method == METHODS[0]:
            done = f"{self.step} sweeps of value iteration"
        else:
            run = self.run()
            done = f"{self.step} steps of Q-learning, episode {run['episode']}, {run['paid']} ended at a goal"
        size = f"{len(self.layout_rows)} x {len(self.layout_rows[0])}"
        return f"GridWorld {size}, discount {self.gamma:g}: after {done}, the start is worth {value + 0.0:.2f}"

    def picture(self) -> Picture:
        """The grid with values and the best actions."""
        rows, side, top = self.layout_rows, 64, 50
        picture = Picture(max(580, len(rows[0]) * side + 24), len(rows) * side + top + 12, self.describe())
        for line, text in enumerate(self.describe().split(": ")):
            picture.text(12, 18 + 18 * line, text, 12, FAINT)
        Q = self.Q
        largest = max(1e-9, float(np.abs(Q).max()))
        for s in range(Q.shape[0]):
            y, x = divmod(s, len(rows[0]))
            self._cell(picture, rows[y][x], Q[s], 12 + x * side, top + y * side, side, largest)
        return picture

    def _cell(self, picture: Picture, kind: str, q: np.ndarray, x: float, y: float, side: float, largest: float) -> None:
        picture.rect(x, y, side, side, "#8a929c" if kind == "#" else _shade(q.max() / largest, kind), GRID)
        middle = x + side / 2
        if kind in "GX":
            picture.text(middle, y + side / 2 + 5, KINDS[kind], 14, GREEN if kind == "G" else RED, "middle")
        elif kind != "#":
            picture.text(middle, y + side - 8, f"{q.max() + 0.0:.2f}", 12, INK, "middle")
            for a in best_actions(q):
                _arrow(picture, middle, y + side / 2 - 6, a)
            if kind == "S":
                picture.text(x + 5, y + 14, "start", 10, FAINT)


def best_actions(q: Sequence[float]) -> list[int]:
    """The best actions of a state, none where all are equally good.

    >>> best_actions([0.0, 1.0, 1.0, 0.5]), best_actions([0.0, 0.0, 0.0, 0.0])
    ([1, 2], [])
    """
    best = [a for a, value in enumerate(q) if value > max(q) - SAME]
    return best if len(best) < len(q) else []


def _arrow(picture: Picture, x: float, y: float, a: int) -> None:
    dy, dx = MOVES[a]
    tip, left, right = (x + 15 * dx, y + 15 * dy), (x + 9 * dx - 4 * dy, y + 9 * dy + 4 * dx), (x + 9 * dx + 4 * dy, y + 9 * dy - 4 * dx)
    picture.line([(x + 3 * dx, y + 3 * dy), tip], BLUE, 2)
    picture.polygon([tip, left, right], BLUE)


def _shade(share: float, kind: str) -> str:
    """White for 0, towards green for good and towards red for bad."""
    if kind in "GX":
        return "#e3f3ee" if kind == "G" else "#fbe7dc"
    colour = (0, 158, 115) if share > 0 else (213, 94, 0)
    weight = 0.45 * min(1.0, abs(share))
    return "#" + "".join(f"{round(255 + weight * (part - 255)):02x}" for part in colour)


def _rows(layout) -> list[str]:
    rows = [str(row) for row in ([layout] if isinstance(layout, str) else layout)]
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        raise DataError(f"layout must be rows of equal length; received {rows!r}.")
    if unknown := sorted(set("".join(rows)) - set(KINDS)):
        known = ", ".join(f"{sign!r} {kind}" for sign, kind in KINDS.items())
        raise DataError(f"layout knows {known}; received {unknown[0]!r}.")
    if max(len(rows), len(rows[0])) > LARGEST:
        raise DataError(f"the widget shows at most {LARGEST} rows and columns; received {len(rows)} x {len(rows[0])}.")
    if "".join(rows).count("S") != 1:
        raise DataError(f"layout must have one start, 'S'; received {''.join(rows).count('S')}.")
    return rows


def _tables(world, states: int) -> tuple[list, list, list]:
    if len(world) != 3:
        raise DataError(f"world must be next_state, reward and done; received {len(world)} parts.")
    tables = [np.asarray(part) for part in world]
    for name, table in zip(("next_state", "reward", "done"), tables):
        if table.shape != (states, 4):
            raise DataError(f"{name} must have the shape ({states}, 4), a row for each cell; received {table.shape}.")
    if tables[0].min() < 0 or tables[0].max() >= states:
        raise DataError(f"next_state must hold states from 0 to {states - 1}.")
    if not np.isfinite(tables[1].astype(float)).all():
        raise DataError("reward must be finite numbers.")
    return tables[0].astype(int).tolist(), tables[1].astype(float).tolist(), tables[2].astype(bool).tolist()
