"""The course in JupyterLab: panel, tool bar, exercise cells and status bar."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tiny_notebook

from bigmodel_nb import course

BUILT = Path(course.__file__).parent / "lab" / "labextensions" / "bigmodel-nb" / "lib"
FIRST = course.lessons()[0]
SOLVED = """
import bigmodel_nb as bn

@bn.exercise("{id}")
def {name}(*arguments):
    return bn.exercises.reference("{id}")(*arguments)
"""
SOLVE = """
([id, source]) => {
  const cell = jupyterapp.shell.currentWidget.content.widgets.find(
    (c) => c.model.type === "code" && c.model.sharedModel.getSource().includes(`exercise("${id}")`)
  );
  cell.model.sharedModel.setSource(source);
}
"""
CURRENT = "jupyterapp.shell.currentWidget?.context?.path"
IDLE = """
async () => {
  const { sessionContext } = jupyterapp.shell.currentWidget;
  await sessionContext.ready;
  await sessionContext.session?.kernel?.info;
}
"""
LUMINANCE = "node => Math.max(...getComputedStyle(node).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number))"


class CourseLab:
    """JupyterLab with the course panel in front."""

    def __init__(self, page, server) -> None:
        self.page, self.root = page, server.root
        page.goto(f"{server.url}/lab?reset&token={server.token}")
        page.wait_for_function("window.jupyterapp")
        page.evaluate("jupyterapp.restored.then(() => null)")
        page.wait_for_function("jupyterapp.commands.hasCommand('bigmodel-nb:show')")
        self.command("bigmodel-nb:show")
        self.panel = page.get_by_role("region", name="Course")
        self.panel.locator(".bn-lesson").first.wait_for()

    def command(self, name: str, **arguments) -> None:
        self.page.evaluate("async ([name, a]) => { await jupyterapp.commands.execute(name, a); }", [name, arguments])

    def row(self, lesson):
        """A lesson's entry."""
        return self.panel.locator(".bn-lesson").filter(has=self.page.locator(f'[data-key="{lesson.file}"]'))

    def open(self, lesson) -> None:
        self.row(lesson).locator(".bn-open").click()
        self.at(lesson)

    def at(self, lesson) -> None:
        """Wait until this lesson is in front."""
        self.page.wait_for_function(f"{CURRENT} === {json.dumps(lesson.file)}")


@pytest.fixture(scope="module")
def one_lab(course_server, lasting_page):
    """A CourseLab for all tests that may leave notebooks open."""
    return CourseLab(lasting_page, course_server)


@pytest.fixture
def course_lab(course_server, new_page):
    """`course_lab(before=None)` -> CourseLab in a page of its own; `before(page)` is called ahead of the first request."""

    def show(before=None) -> CourseLab:
        page = new_page()
        if before:
            before(page)
        return CourseLab(page, course_server)

    return show


def test_lists_all_lessons_in_order(one_lab):
    titles = one_lab.panel.locator(".bn-title").all_inner_texts()
    assert titles == [f"{it.number:02} {it.title}" for it in course.lessons()]
    labels = one_lab.panel.locator(".bn-open").evaluate_all("nodes => nodes.map((n) => n.getAttribute('aria-label'))")
    assert all(re.search(r", (new|begun|done|\d+ of \d+ passed), \d+ minutes$", label) for label in labels)
    for lesson in course.lessons():
        about = one_lab.row(lesson).locator(".bn-about").first.inner_text()
        assert f"{lesson.minutes} min" in about and all(f"{number:02}" in about for number in lesson.needs)


def test_search_finds_lessons_terms_and_exercises(one_lab):
    search = one_lab.panel.get_by_role("searchbox")
    search.fill("scaled dot product")
    assert "09 Attention" in one_lab.panel.locator(".bn-title").all_inner_texts()
    assert one_lab.panel.get_by_role("button", name=re.compile("^attention.scaled_dot_product: ")).count() == 1
    assert re.search(r"^Lessons found: \d+$", one_lab.panel.get_by_role("status").inner_text())
    search.fill("no such thing <b>")
    assert one_lab.panel.locator(".bn-lesson").count() == 0
    search.fill("")
    assert one_lab.panel.locator(".bn-lesson").count() == len(course.lessons())


def test_the_launcher_goes_on_where_the_learner_left(one_lab):
    wanted = one_lab.panel.get_by_role("button", name=re.compile("^Continue: ")).inner_text()
    one_lab.page.locator(".jp-LauncherCard").filter(has_text="Continue the course").click()
    one_lab.at(next(it for it in course.lessons() if wanted == f"Continue: {it.number:02} {it.title}"))


def test_opens_a_lesson_and_goes_on_and_back(one_lab):
    lessons = course.lessons()
    one_lab.open(lessons[1])
    toolbar = one_lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-NotebookPanel-toolbar")
    toolbar.get_by_role("button", name=f"Next lesson: {lessons[2].number:02} {lessons[2].title}").click()
    one_lab.at(lessons[2])
    one_lab.command("bigmodel-nb:previous-lesson")
    one_lab.at(lessons[1])


def test_a_passed_exercise_changes_the_state(one_lab):
    one_lab.open(FIRST)
    one_lab.page.evaluate(IDLE)
    one_lab.command("bigmodel-nb:next-exercise")
    bar = one_lab.page.get_by_role("group", name=re.compile(r"^Exercise start_here\.")).first
    bar.wait_for()
    id = bar.get_attribute("aria-label").removeprefix("Exercise ")
    bar.get_by_role("button", name=f"Check {id}").click()
    bar.get_by_role("status").get_by_text("Did the cells above run").wait_for()  # bn is not imported yet
    one_lab.page.evaluate(SOLVE, [id, SOLVED.format(id=id, name=id.partition(".")[2])])
    bar = one_lab.page.get_by_role("group", name=f"Exercise {id}")
    bar.get_by_role("button", name=f"Hint to {id}").press("Enter")
    bar.get_by_role("status").get_by_text("hint 1 of").wait_for()
    assert one_lab.page.evaluate("jupyterapp.shell.currentWidget.content.mode") == "command"  # Enter was for the button alone
    bar.get_by_role("button", name=f"Hint to {id}").press("Alt+Shift+C")
    assert one_lab.panel.get_by_role("searchbox").evaluate("node => node === document.activeElement")
    bar.get_by_role("button", name=f"Check {id}").click()
    bar.get_by_text(f"{id}: passed").wait_for()
    one_lab.row(FIRST).and_(one_lab.page.locator("[data-state='done'], [data-state='passed']")).wait_for()


def test_reset_keeps_the_learners_version(one_lab):
    lesson = course.lessons()[3]
    tiny_notebook.edit(one_lab.root / lesson.file, 1, source="my own work")
    one_lab.page.evaluate("dispatchEvent(new Event('focus'))")
    one_lab.row(lesson).get_by_role("button", name=re.compile("^Reset")).click()
    one_lab.page.locator(".jp-Dialog").get_by_role("button", name="Reset").click()
    one_lab.panel.get_by_role("status").get_by_text("is the original again").wait_for()
    assert (one_lab.root / lesson.file).read_bytes() == lesson.path.read_bytes()
    (kept,) = one_lab.root.glob(f"{lesson.path.stem}-20*.ipynb")
    assert "my own work" in kept.read_text(encoding="utf-8") and kept.name in one_lab.panel.get_by_role("status").inner_text()


def test_a_newer_original_is_shown_before_it_is_taken(one_lab):
    lesson = course.lessons()[4]
    record = one_lab.root / ".bigmodel_nb" / "workspace.json"
    known = json.loads(record.read_text())
    known["lessons"][lesson.file]["source"] = "that of an older original"
    record.write_text(json.dumps(known))
    tiny_notebook.edit(one_lab.root / lesson.file, 1, source="<b>my own work</b>")
    before = (one_lab.root / lesson.file).read_bytes()
    one_lab.page.evaluate("dispatchEvent(new Event('focus'))")
    one_lab.row(lesson).get_by_role("button", name="There is a newer original: see what is new").click()
    dialog = one_lab.page.locator(".jp-Dialog")
    dialog.get_by_text("-<b>my own work</b>").wait_for()
    dialog.get_by_role("button", name="Keep mine", exact=True).click()
    dialog.wait_for(state="detached")
    assert (one_lab.root / lesson.file).read_bytes() == before


def test_the_status_bar_shows_memory_and_device(one_lab):
    machine = one_lab.page.get_by_role("group", name="Machine")
    machine.get_by_text(re.compile(r"kernel \d+ MB of \d")).wait_for()
    machine.get_by_text(re.compile(r"^(cpu|cuda|mps|xpu)")).wait_for()
    assert "memory is free" in machine.get_attribute("title")


def test_the_status_bar_warns_and_shows_the_graphics_card(course_lab):
    told = {"device": "cuda:0", "dtype": "bfloat16", "reason": "<b>why</b>", "kernels": 1.2e9, "limit": 2e9, "free": 1e8, "low": True,
            "gpus": [{"name": "A100", "used": 2e9, "total": 4e10}]}  # fmt: skip
    lab = course_lab(before=lambda page: page.route("**/bigmodel-nb/machine*", lambda route: route.fulfill(json=told)))
    machine = lab.page.get_by_role("group", name="Machine")
    machine.get_by_text("cuda:0 bfloat16 | kernel 1.2 GB of 2.0 GB | GPU 2.0 GB of 40.0 GB").wait_for()
    assert machine.get_by_role("status").inner_text().strip() == "Only 100 MB of memory is free."
    assert machine.get_attribute("title").startswith("<b>why</b>\nA100\n")


OPEN = """
async (path) => {
  window.panel = await jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook", kernel: { name: "python3" } });
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session?.kernel?.info;
}
"""


def test_a_reopened_notebook_keeps_its_widgets(course_lab, course_server):
    slider = "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider"
    tiny_notebook.write(course_server.root / "slider.ipynb", slider, "slider.value = 42")
    lab = course_lab()
    lab.page.evaluate(OPEN, "slider.ipynb")
    lab.command("notebook:run-all-cells")
    lab.page.locator(".widget-readout").get_by_text("42", exact=True).wait_for()
    lab.command("docmanager:save")
    lab.page.close()
    course_server.stop_kernel("slider.ipynb")
    again = course_lab()
    again.page.evaluate(OPEN, "slider.ipynb")
    again.page.locator(".widget-readout").get_by_text("42", exact=True).wait_for()


def test_hostile_titles_are_text(course_lab):
    markup = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"

    def hostile(route):
        answer = route.fetch()
        told = answer.json()
        told["lessons"][0] |= {"title": markup, "part": markup, "terms": [markup]}
        route.fulfill(response=answer, json=told)

    lab = course_lab(before=lambda page: page.route("**/bigmodel-nb/overview*", hostile))
    assert markup in lab.panel.locator(".bn-title").first.inner_text()
    lab.panel.get_by_role("searchbox").fill("onerror")
    assert lab.panel.locator("img, script").count() == 0 and lab.page.title() != "broken"


def test_follows_the_theme(one_lab):
    assert one_lab.panel.evaluate(LUMINANCE) > 200
    one_lab.command("apputils:change-theme", theme="JupyterLab Dark")
    one_lab.page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    one_lab.page.wait_for_function("Math.max(...getComputedStyle(document.querySelector('.bn-course')).backgroundColor.match(/\\d+/g).slice(0, 3)) < 64")
    one_lab.command("apputils:change-theme", theme="JupyterLab Light")


def test_works_with_the_keyboard(one_lab):
    one_lab.panel.get_by_role("searchbox").focus()
    one_lab.page.keyboard.press("Tab")
    assert one_lab.page.evaluate("document.activeElement.getAttribute('data-key')") == FIRST.file
    one_lab.page.keyboard.press("Enter")
    one_lab.at(FIRST)


def test_without_a_workspace_lab_stays_as_it_was(course_server, new_page):
    page, told = new_page(), {"workspace": None, "lessons": [], "passed": 0, "of": 0, "next": None, "free": 0}
    page.route("**/bigmodel-nb/overview*", lambda route: route.fulfill(json=told))
    with page.expect_response("**/bigmodel-nb/overview*"):
        page.goto(f"{course_server.url}/lab?reset&token={course_server.token}")
    page.wait_for_function("window.jupyterapp")
    page.evaluate("jupyterapp.restored.then(() => null)")
    assert page.locator(".bn-course, .bn-status, link[href*=bigmodel-nb], body[data-bigmodel-nb]").count() == 0
    assert page.evaluate("jupyterapp.commands.listCommands().filter((it) => it.startsWith('bigmodel-nb'))") == []


@pytest.fixture
def javascript(new_page):
    """A page with the module that holds the search, alone: it imports nothing when it runs."""
    page = new_page()
    page.goto("about:blank")
    source = (BUILT / "course.js").read_text(encoding="utf-8")
    page.evaluate("async (s) => { window.course = await import(URL.createObjectURL(new Blob([s], {type: 'text/javascript'}))); }", source)
    return page


LESSON = {
    "number": 9, "title": "Attention", "name": "attention", "terms": ["Causal mask", "head"],
    "exercises": [{"id": "attention.causal_mask", "state": "open"}, {"id": "attention.scores", "state": "passed"}],
}  # fmt: skip


@pytest.mark.parametrize(("query", "exercises", "terms"), [
    ("", [], []),
    ("  ", [], []),
    ("09", [], []),
    ("MASK causal", ["attention.causal_mask"], ["Causal mask"]),
    ("causal_mask", ["attention.causal_mask"], []),
    ("head", [], ["head"]),
    ("attention", ["attention.causal_mask", "attention.scores"], []),
])  # fmt: skip
def test_what_a_search_finds(javascript, query, exercises, terms):
    hits = javascript.evaluate("([lesson, query]) => course.found(lesson, query)", [LESSON, query])
    assert ([it["id"] for it in hits["exercises"]], hits["terms"]) == (exercises, terms)


@pytest.mark.parametrize("query", ["masks", "attention convolution", ".*", "[", "\\"])
def test_what_a_search_does_not_find(javascript, query):
    assert javascript.evaluate("([lesson, query]) => course.found(lesson, query)", [LESSON, query]) is None


def test_speaks_chinese_where_jupyterlab_does(chinese_server, new_page):
    page = new_page()
    page.goto(f"{chinese_server.url}/lab?reset&token={chinese_server.token}")
    page.wait_for_function("window.jupyterapp?.commands.hasCommand('bigmodel-nb:show')")
    page.evaluate("jupyterapp.commands.execute('bigmodel-nb:show').then(() => null)")
    panel = page.get_by_role("region", name="课程")
    panel.get_by_text("已通过 0 /").wait_for()
    assert panel.get_by_role("searchbox", name="搜索课程、术语和练习").count() == 1
    assert panel.get_by_text("第 A 部分").count() == 1


def test_shortcuts_lead_to_the_panel_and_the_next_lesson(one_lab):
    one_lab.open(FIRST)
    one_lab.page.keyboard.press("Alt+Shift+N")
    one_lab.at(course.lessons()[1])
    one_lab.command("filebrowser:activate")
    one_lab.panel.wait_for(state="hidden")
    one_lab.page.keyboard.press("Alt+Shift+C")
    one_lab.panel.wait_for(state="visible")
    assert one_lab.panel.get_by_role("searchbox").evaluate("node => node === document.activeElement")
