"""The gridworld in a browser: its mathematics, mouse, keyboard, labels, themes."""

from __future__ import annotations

import numpy as np
import pytest
from grids import tables

from bigmodel_nb.widgets import GridWorld
from bigmodel_nb.widgets.grid_world import Draws, best_actions, q_learning, sweeps

ROWS = ["...#.G", ".#...X", ".#.#..", "S..#.."]
START = 18


@pytest.fixture
def widget():
    return GridWorld(ROWS, tables(ROWS), gamma=0.9, step=12)


@pytest.fixture
def shown(blank_page, widget):
    return blank_page(widget)


def now(shown, name):
    return shown.page.evaluate(f"model.get('{name}')")


def press(shown, name):
    shown.page.get_by_role("button", name=name, exact=True).click()


def grid(shown):
    return shown.page.get_by_role("application", name="Grid")


def test_mathematics_is_that_of_python(shown, widget):
    world = [list(part) for part in widget.world]
    for gamma in (0.0, 0.5, 0.9, 1.0):
        for count in (0, 1, 7, 60):
            assert np.allclose(shown.call("sweeps", world, gamma, count), sweeps(world, gamma, count), atol=1e-12)
    for seed, alpha, epsilon, count in ((0, 0.5, 0.2, 0), (1, 1.0, 0.0, 55), (7, 0.3, 1.0, 400), (2**31, 0.5, 0.2, 3000)):
        ours = q_learning(world, START, 0.9, alpha, epsilon, seed, count)
        theirs = shown.call("qLearning", world, START, 0.9, alpha, epsilon, seed, count)
        assert np.allclose(ours.pop("Q"), theirs.pop("Q"), atol=1e-12)
        assert theirs.pop("steps") == count and ours.pop("last") == pytest.approx(theirs.pop("last"))
        assert ours == theirs
    rng, draws = np.random.default_rng(0), Draws(5)
    assert shown.page.evaluate("(() => { const d = module.draws(5); return [d(), d(), d()]; })()") == [draws() for _ in range(3)]
    for _ in range(20):
        q = np.round(rng.normal(size=4)).tolist()
        assert shown.call("bestActions", q) == best_actions(q)


def test_finishing_an_episode(shown, widget):
    world = [list(part) for part in widget.world]
    for begin in (0, 3, 50):
        run = shown.call("qLearning", world, START, 0.9, 0.5, 0.2, 0, begin, True)
        assert run["steps"] > begin and (run["last"]["done"] or len(run["path"]) > 100)
        same = q_learning(world, START, 0.9, 0.5, 0.2, 0, run["steps"])
        assert same["path"] == run["path"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_values_and_arrows(blank_page, widget, dark):
    shown = blank_page(widget, dark=dark)
    values = shown.page.locator("svg text.value").all_text_contents()
    assert len(values) == 17 and "0.48" in values and "1.00" in values
    assert shown.page.locator("svg .arrow").count() == sum(len(best_actions(q)) for q in widget.Q)
    assert "goal" in shown.page.locator("svg").text_content() and "Sweep 12: the largest change" in shown.page.inner_text(".told")
    shown.has_theme(dark)


def test_names_for_screen_readers(shown):
    tree = shown.accessible()
    for part in ['region "Gridworld"', 'slider "Discount"', 'slider "Sweeps"', 'button "One sweep"', 'button "Play"',
                 'button "value iteration" [pressed]', 'application "Grid: arrow keys or a click choose a cell"']:  # fmt: skip
        assert part in tree
    assert "Row 3, column 0, start: up 0.39, right 0.48" in shown.page.locator("[aria-live]").inner_text()
    assert "Epsilon" not in tree


def test_steps_by_button_and_key(shown):
    press(shown, "One sweep")
    assert now(shown, "step") == 13 and shown.saved()[-1]["step"] == 13
    press(shown, "Back")
    press(shown, "Start again")
    assert now(shown, "step") == 0 and "all values are 0" in shown.page.inner_text(".told")
    press(shown, "Back")
    assert now(shown, "step") == 0
    shown.page.get_by_role("slider", name="Sweeps").focus()
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("ArrowRight")
    assert now(shown, "step") == 2 and "1.00" in shown.page.locator("svg text.value").all_text_contents()


def test_another_discount(shown):
    shown.page.get_by_role("slider", name="Discount").fill("0.5")
    assert now(shown, "gamma") == 0.5
    assert "0.01" in shown.page.inner_text(".figures")
    shown.push(gamma=1.0)
    assert shown.page.locator("svg .arrow").count() == 0 or "1.00" in shown.page.inner_text(".figures")


def test_q_learning_step_by_step(shown, widget):
    press(shown, "Q-learning")
    assert now(shown, "method") == "Q-learning" and now(shown, "step") == 0
    assert "Episode 1 begins" in shown.page.inner_text(".told") and shown.page.locator(".agent").count() == 1
    press(shown, "One step")
    assert "Episode 1, step 1, went" in shown.page.inner_text(".told")
    press(shown, "To the end of the episode")
    assert "The episode ends." in shown.page.inner_text(".told") or now(shown, "step") >= 100
    for name in ("Learning rate", "Epsilon", "Steps of the agent"):
        assert shown.page.get_by_role("slider", name=name).is_visible()


def test_plays_and_stops(shown):
    press(shown, "Q-learning")
    press(shown, "Play")
    shown.page.wait_for_function("model.get('step') >= 3")
    press(shown, "Stop")
    at = now(shown, "step")
    shown.page.wait_for_timeout(400)
    assert now(shown, "step") == at


def test_choosing_a_cell(shown):
    box = grid(shown).bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] * 4.5 / 6, box["y"] + box["height"] / 8)
    assert now(shown, "cell") == 4 and "Row 0, column 4, free: up" in shown.page.inner_text(".figures")
    grid(shown).focus()
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("ArrowRight")  # the edge holds
    assert now(shown, "cell") == 5 and shown.page.inner_text(".figures") == "Row 0, column 5, goal."
    shown.page.keyboard.press("ArrowDown")
    assert now(shown, "cell") == 11
    shown.page.keyboard.press("Home")
    assert now(shown, "cell") == 11


def test_fits_a_narrow_panel(shown):
    shown.fits(360)


def test_clean_up_leaves_nothing(shown):
    press(shown, "Play")
    shown.closes()
    at = now(shown, "step")
    shown.page.wait_for_timeout(700)
    assert now(shown, "step") == at


def test_redraw_is_quick(blank_page):
    rows = ["S" + "." * 11] + ["." * 12] * 10 + ["." * 11 + "G"]
    shown = blank_page(GridWorld(rows, tables(rows), method="Q-learning", step=3000))
    assert shown.fastest('model.set("gamma", 0.9 - i / 100)') < 50  # milliseconds


LAB = """
import numpy as np, bigmodel_nb as bn
next_state = np.array([[0, 1, 0, 0], [1, 2, 1, 0], [2, 2, 2, 2]])
done = next_state == 2
w = bn.widgets.GridWorld(["S.G"], (next_state, 1.0 * done * [[1], [1], [0]], done), step=2)
w
"""


def test_lives_in_jupyterlab(lab):
    notebook = lab([LAB, "print(w.step)"])
    notebook.start()
    page = notebook.page
    notebook.fallback()
    one = page.get_by_role("button", name="One sweep")
    one.wait_for()
    assert "0.90" in page.locator(".bn-grid-world svg").text_content()
    page.get_by_role("application", name="Grid").focus()
    page.keyboard.press("a")  # would insert a cell
    page.keyboard.press("ArrowRight")
    assert "column 1" in page.locator(".bn-grid-world .figures").inner_text()
    assert page.locator(".jp-CodeCell").count() == 2
    notebook.dark()
