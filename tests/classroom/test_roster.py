"""Handing out and collecting, and what is refused in what comes back."""

from __future__ import annotations

import json
import stat
import zipfile

import pytest

from bigmodel_nb import course
from bigmodel_nb.classroom.roster import Learner, collect, folder_name, hand_out, read_roster
from bigmodel_nb.errors import CourseError


@pytest.fixture
def few(monkeypatch):
    """Workspaces with two lessons only."""
    make, lessons = course.make_workspace, course.lessons()[:2]
    monkeypatch.setattr(course, "lessons", lambda notebooks=None: lessons)
    return make


def roster(tmp_path, text):
    file = tmp_path / "roster.csv"
    file.write_text(text, encoding="utf-8-sig")
    return file


def test_a_roster(tmp_path):
    found = read_roster(roster(tmp_path, "Name,Email\nAnn Ö,ann@x.org\n李雷,li@x.org\n,\n"))
    assert found == [Learner("ann@x.org", "Ann Ö"), Learner("li@x.org", "李雷")]


@pytest.mark.parametrize("text", ["", "who\nann\n", "id\nann\nAnn\n", "id\n../x\n/x\n", "id,name\n..,x\n"])
def test_a_roster_that_cannot_be_used_is_named(tmp_path, text):
    with pytest.raises(CourseError, match="roster"):
        read_roster(roster(tmp_path, text))


@pytest.mark.parametrize("id", ["../../etc", "a/b", "a\\b", "CON", ".hidden", "x" * 300, "a:b", "<script>"])
def test_folder_names_stay_inside(id):
    name = folder_name(id)
    assert name and "/" not in name and "\\" not in name and not name.startswith(".") and name != "CON" and len(name) <= 81


def test_out_and_back(tmp_path, few):
    out, back = tmp_path / "out", tmp_path / "back"
    learners = [Learner("ann", "Ann"), Learner("bob", "Bob"), Learner("eve", "Eve")]
    hand_out(learners[:2], out)
    (out / "ann" / "00_start_here.ipynb").write_text("mine")
    assert hand_out(learners, out) and (out / "ann" / "00_start_here.ipynb").read_text() == "mine"
    (out / "eve").rename(tmp_path / "eve")
    found = collect([out], back, learners)
    assert [(it.id, it.notebooks, it.note) for it in found] == [("ann", 2, ""), ("bob", 2, ""), ("eve", 0, "nothing handed in")]
    assert (back / "ann" / "00_start_here.ipynb").read_text() == "mine"
    (back / "ann" / "00_start_here.ipynb").write_text("graded")
    again = collect([out / "ann"], back)
    assert "stays as it is" in again[0].note and (back / "ann" / "00_start_here.ipynb").read_text() == "graded"


def test_archives_and_whose_they_are(tmp_path, few):
    hand_out([Learner("ann", "Ann")], tmp_path, archives=True)
    (tmp_path / "ann.zip").rename(tmp_path / "submission_17.zip")
    [one] = collect([tmp_path / "submission_17.zip"], tmp_path / "back", [Learner("ann", "Ann")])
    assert (one.id, one.notebooks, one.note) == ("ann", 2, "")
    stranger, absent = collect([tmp_path / "submission_17.zip"], tmp_path / "back2", [Learner("bob", "Bob")])
    assert (stranger.id, stranger.note) == ("ann", "not on the roster") and (absent.id, absent.folder) == ("bob", None)


def test_a_hostile_archive(tmp_path):
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("../out.ipynb", "/abs.ipynb", "a/../../out2.ipynb", "C:\\x.ipynb", "ok.ipynb", "run.py", ".hidden/x.ipynb"):
            archive.writestr(name, "{}")
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr(".bigmodel_nb/learner.json", json.dumps({"id": "../../evil"}))
    [one] = collect([file], tmp_path / "back")
    assert one.id == "../../evil" and one.notebooks == 1 and one.folder.parent == tmp_path / "back"
    assert sorted(path.name for path in (tmp_path / "back").rglob("*.ipynb")) == ["ok.ipynb"]
    assert not list(tmp_path.glob("*.ipynb")) and not list(tmp_path.parent.glob("out*.ipynb"))


def test_links_in_a_folder_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x.ipynb").write_text("secret")
    own = tmp_path / "handed" / "ann"
    own.mkdir(parents=True)
    (own / "link.ipynb").symlink_to(secret / "x.ipynb")
    (own / "folder").symlink_to(secret)
    (own / "real.ipynb").write_text("{}")
    [one] = collect([tmp_path / "handed"], tmp_path / "back")
    assert [path.name for path in one.folder.iterdir()] == ["real.ipynb"]


def test_what_cannot_be_read_or_is_empty(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    (tmp_path / "empty").mkdir()
    notes = {it.id: it.note for it in collect([tmp_path / "broken.zip", tmp_path], tmp_path / "back")}
    assert "can't be read" in notes["broken"] and notes["empty"] == "holds no notebook"
    with pytest.raises(CourseError, match="not there"):
        collect([tmp_path / "nowhere"], tmp_path / "back")
