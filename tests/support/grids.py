"""Gridworlds for the tests of GridWorld, as lesson 19 makes them."""

from __future__ import annotations

import numpy as np

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


def tables(rows: list[str], living: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """next_state, reward and done, each (states, 4), of a layout."""
    R, C, signs = len(rows), len(rows[0]), "".join(rows)
    next_state = np.tile(np.arange(R * C)[:, None], 4)
    reward, done = np.zeros(next_state.shape), np.ones(next_state.shape, dtype=bool)
    for s in np.flatnonzero([sign in "S." for sign in signs]):
        for a, (down, right) in enumerate(MOVES):
            y, x = s // C + down, s % C + right
            if 0 <= y < R and 0 <= x < C and rows[y][x] != "#":
                next_state[s, a] = y * C + x
            sign = signs[next_state[s, a]]
            reward[s, a], done[s, a] = {"G": 1.0, "X": -1.0}.get(sign, living), sign in "GX"
    return next_state, reward, done
