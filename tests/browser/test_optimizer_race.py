"""The race of optimisers in a browser: its mathematics, mouse, keyboard, labels, themes."""

from __future__ import annotations


import pytest

from bigmodel_nb.widgets import OptimizerRace
from bigmodel_nb.widgets.optimizer_race import RULES, SURFACES, inside, path


@pytest.fixture
def race():
    return OptimizerRace(list(RULES), lr=0.03, steps=40)


@pytest.fixture
def shown(blank_page, race):
    return blank_page(race)


def start_of(shown):
    return shown.page.evaluate("model.get('start')")


def test_mathematics_is_that_of_python(shown):
    for surface, ground in SURFACES.items():
        for rule in RULES:
            for lr in (0.01, 0.15):
                ours = path(surface, rule, ground.start, lr, 50)
                theirs = shown.call("path", surface, rule, ground.start, lr, 50)
                assert len(ours) == len(theirs)
                for a, b in zip(ours, theirs):
                    assert b == pytest.approx(a, rel=1e-9, abs=1e-9)
                assert shown.call("inside", ours, ground.x_range, ground.y_range) == [
                    [pytest.approx(point) for point in piece] for piece in inside(ours, ground.x_range, ground.y_range)
                ]
        assert shown.call("slope", surface, 0.3, -0.2) == pytest.approx(ground.slope(0.3, -0.2))
        assert shown.call("level", surface, 2, 1.1) == pytest.approx(ground.level(2, 1.1))


def test_outcome_and_words(shown):
    diverged = path("ravine", "sgd", (-5, 1), 0.2, 100)
    assert shown.call("outcome", "ravine", diverged) is None
    assert [shown.call("words", x) for x in (None, 0.00001, 0.123)] == ["diverged", "below 0.0001", "0.12"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_shows_paths_and_losses(blank_page, race, dark):
    shown = blank_page(race, dark=dark)
    text = shown.page.inner_text("body")
    for label, _, _ in RULES.values():
        assert label in text
    assert "After 40 steps with learning rate 0.03" in text
    assert shown.page.locator("path.run").count() == 5 and shown.page.locator("path.level").count() == 6
    assert shown.page.locator("tbody tr").count() == 5


LUMINANCE = """
(names) => names.map((name) => {
  const probe = document.querySelector(".bn").appendChild(document.createElement("i"));
  probe.style.color = `var(--bn-${name})`;
  const parts = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map((x) => x / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
})
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast_of_the_paths(blank_page, race, dark):
    paper, *others = blank_page(race, dark=dark).page.evaluate(LUMINANCE, ["paper", *RULES])
    for name, other in zip(RULES, others):
        assert (max(other, paper) + 0.05) / (min(other, paper) + 0.05) >= 3, name


def test_names_for_screen_readers(shown):
    tree = shown.accessible()
    for part in ['slider "Learning rate"', 'slider "Steps"', 'combobox "Surface"', 'button "Adam, not corrected"',
                 'slider "Start: arrow keys move it"', 'region "Race of optimisers"', 'button "Play"']:
        assert part in tree
    assert "SGD" in shown.page.locator("[aria-live=polite]").inner_text()


def test_sliders_by_keyboard(shown):
    before = shown.page.locator("path.run").first.get_attribute("d")
    shown.page.get_by_role("slider", name="Learning rate").focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.page.evaluate("model.get('lr')") > 0.03
    shown.page.wait_for_function("d => document.querySelector('path.run').getAttribute('d') !== d", arg=before)
    shown.page.get_by_role("slider", name="Steps").focus()
    shown.page.keyboard.press("Home")
    assert shown.page.evaluate("model.get('steps')") == 0
    assert "After 0 steps" in shown.page.inner_text("caption")


def test_divergence_is_said(shown):
    shown.push(lr=0.5)
    assert "diverged" in shown.page.inner_text("tbody tr:first-child")
    assert "SGD diverged" in shown.page.locator("[aria-live=polite]").inner_text()


def test_rules_and_surface(shown):
    button = shown.page.get_by_role("button", name="SGD")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert shown.page.locator("tbody tr").count() == 4
    button.focus()
    shown.page.keyboard.press("Space")
    assert shown.page.evaluate("model.get('rules')") == list(RULES)
    shown.page.get_by_role("combobox", name="Surface").select_option("valley")
    assert start_of(shown) == list(SURFACES["valley"].start)


def test_start_is_dragged_and_moved_by_keys(shown):
    edge = shown.page.locator("svg").bounding_box()
    shown.page.mouse.move(edge["x"] + 100, edge["y"] + 100)
    shown.page.mouse.down()
    shown.page.mouse.move(edge["x"] + edge["width"] / 2, edge["y"] + 60)
    shown.page.mouse.up()
    dragged = start_of(shown)
    assert -2.5 < dragged[0] < -0.5 and 1.0 < dragged[1] < 1.6
    handle = shown.page.get_by_role("slider", name="Start")
    assert handle.evaluate("node => node === document.activeElement")
    shown.page.keyboard.press("ArrowRight")
    assert start_of(shown)[0] == pytest.approx(dragged[0] + 0.18, abs=0.011)
    shown.page.keyboard.press("ArrowDown")
    assert start_of(shown)[1] < dragged[1]
    shown.page.keyboard.press("Home")
    assert start_of(shown) == list(SURFACES["ravine"].start)


def test_play_runs_to_the_chosen_step(shown):
    shown.push(steps=5)
    shown.page.get_by_role("button", name="Play").click()
    shown.page.wait_for_function("model.get('steps') === 5 && document.body.innerText.includes('Play')")


def test_play_without_motion(blank_page, race):
    shown = blank_page(race, reduced_motion="reduce")
    shown.page.get_by_role("button", name="Play").click()
    assert shown.page.evaluate("model.get('steps')") == 40


def test_fits_a_narrow_panel(shown):
    shown.fits(360)


def test_a_change_is_drawn_fast(shown):
    assert shown.fastest('model.set("lr", 0.01 + i / 1000)') < 50  # milliseconds


def test_clean_up_leaves_nothing(shown):
    shown.page.get_by_role("button", name="Play").click()
    shown.closes()


def test_in_jupyterlab(lab):
    notebook = lab(["import bigmodel_nb as bn\nrace = bn.widgets.OptimizerRace()\nrace", "race.lr = 0.05\nprint(race.lr)"])
    notebook.start()
    notebook.fallback()
    notebook.page.wait_for_selector(".bn-race path.run")
    assert "learning rate 0.05" in notebook.page.inner_text(".bn-race caption")
    notebook.dark()
    assert notebook.page.evaluate("getComputedStyle(document.querySelector('.bn-race')).colorScheme") == "dark"
