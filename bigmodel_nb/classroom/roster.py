"""Workspaces for a class from a roster, and notebooks back from what its learners hand in."""

from __future__ import annotations

import csv
import json
import re
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bigmodel_nb import course
from bigmodel_nb.errors import CourseError

OWNER = "learner.json"  # in a workspace's .bigmodel_nb
MOST_BYTES = 50_000_000  # of one notebook
MOST_FILES = 2_000  # in one archive
RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)$")


@dataclass(frozen=True)
class Learner:
    """A line of a roster; `folder` is a file name that is right on every system."""

    id: str
    name: str

    @property
    def folder(self) -> str:
        return folder_name(self.id)


def folder_name(id: str) -> str:
    """An id as the name of a folder.

    >>> folder_name("Ann Ö. <x/..>"), folder_name("李雷")
    ('Ann-Ö-x', '李雷')
    """
    text = re.sub(r"[^\w@+-]+", "-", unicodedata.normalize("NFC", id)).strip("-.")[:80]
    return f"{text}-" if RESERVED.match(text) else text


def read_roster(file: Path) -> list[Learner]:
    """The learners of a CSV file with a column `id` (or email, or name) and, if there is one, `name`."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CourseError(f"The roster {file} can't be read as CSV in UTF-8: {error}") from None
    columns = {str(name).strip().lower(): name for name in (rows[0] if rows else ())}
    key = next((columns[name] for name in ("id", "email", "name") if name in columns), None)
    if key is None:
        raise CourseError(f"The roster {file} needs a first line with the column 'id' (or 'email', or 'name'), and a line for each learner.")
    found = [Learner(str(row[key] or "").strip(), str(row.get(columns.get("name", key)) or row[key]).strip()) for row in rows]
    found = [learner for learner in found if learner.id]
    folders = [learner.folder.casefold() for learner in found]
    if twice := sorted({learner.id for learner in found if not learner.folder or folders.count(learner.folder.casefold()) > 1}):
        raise CourseError(f"Every learner needs an id of their own; the roster {file} has these twice, or empty: {', '.join(twice)}")
    return found


def hand_out(learners: Iterable[Learner], folder: Path, archives: bool = False) -> list[Path]:
    """A workspace for each learner in `folder`, or an archive of one; those that are there stay as they are."""
    made = []
    for learner in learners:
        target = folder / learner.folder
        if archives and (zipped := target.with_suffix(".zip")).exists():
            made.append(zipped)
            continue
        course.make_workspace(target)
        owner = target / course.STATE_FOLDER / OWNER
        owner.write_text(json.dumps({"id": learner.id, "name": learner.name}, ensure_ascii=False), encoding="utf-8")
        if archives:
            shutil.make_archive(str(target), "zip", folder, learner.folder)
            shutil.rmtree(target)
        made.append(zipped if archives else target)
    return made


@dataclass(frozen=True)
class Collected:
    """What was collected of one learner: the folder, or why there is none."""

    id: str
    folder: Path | None
    notebooks: int
    note: str = ""


def collect(sources: Sequence[Path], target: Path, learners: Sequence[Learner] = ()) -> list[Collected]:
    """Copy the notebooks of workspaces and archives into `target`, a folder for each learner.

    Only notebooks are taken, never links nor what lies outside, and nothing that is there is
    overwritten. A submission is its learner's by the mark in it, else by its file's name. Of
    `learners`, those without a submission are listed, too.
    """
    found = [_collect(source, target, learners) for source in _submissions(sources)]
    missing = {learner.id for learner in learners} - {it.id for it in found if it.folder}
    return found + [Collected(id, None, 0, "nothing handed in") for id in sorted(missing)]


def _submissions(sources: Sequence[Path]) -> list[Path]:
    """Workspaces and archives, and those right inside of folders that are neither."""
    found = []
    for source in sources:
        if not source.exists():
            raise CourseError(f"{source} is not there: nothing to collect")
        if source.is_file() or course.is_workspace(source):
            found.append(source)
        else:
            found += [path for path in sorted(source.iterdir()) if not path.name.startswith(".") and (path.is_dir() or path.suffix == ".zip")]
    return found


def _collect(source: Path, target: Path, learners: Sequence[Learner]) -> Collected:
    try:
        files = dict(_from_archive(source) if source.is_file() else _from_folder(source))
    except (OSError, zipfile.BadZipFile, CourseError) as error:
        return Collected(source.stem, None, 0, f"can't be read: {error}")
    id = _owner(files.pop(OWNER, b""), source, learners)
    if not files:
        return Collected(id, None, 0, "holds no notebook")
    folder = target / (folder_name(id) or "unnamed")
    if folder.exists():
        return Collected(id, None, 0, f"{folder.name} is there already and stays as it is")
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    unknown = "" if not learners or id in {learner.id for learner in learners} else "not on the roster"
    return Collected(id, folder, len(files), unknown)


def _owner(mark: bytes, source: Path, learners: Sequence[Learner]) -> str:
    try:
        id = json.loads(mark)["id"]
        if isinstance(id, str) and folder_name(id):
            return id
    except (ValueError, KeyError, TypeError):
        pass
    name = source.stem if source.is_file() else source.name
    return next((learner.id for learner in learners if learner.folder.casefold() == folder_name(name).casefold()), name)


def _from_folder(folder: Path) -> Iterable[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_symlink() or not path.is_file() or any((folder / part).is_symlink() for part in relative.parents):
            continue
        if name := _wanted(relative.as_posix()):
            if path.stat().st_size <= MOST_BYTES:
                yield name, path.read_bytes()


def _from_archive(file: Path) -> Iterable[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_FILES:
            raise CourseError(f"{len(entries)} files; {MOST_FILES} are the limit")
        for entry in entries:
            name = _wanted(entry.filename)
            if name and not stat.S_ISLNK(entry.external_attr >> 16) and entry.file_size <= MOST_BYTES:
                with archive.open(entry) as stream:
                    yield name, stream.read(MOST_BYTES)


def _wanted(name: str) -> str:
    """Where a file of a submission goes, or "" where it isn't taken.

    >>> _wanted("ann/09_attention.ipynb"), _wanted("../x.ipynb"), _wanted("ann/.bigmodel_nb/learner.json")
    ('ann/09_attention.ipynb', '', 'learner.json')
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or name.startswith(("/", "\\")) or ":" in name:
        return ""
    if parts[-2:] == (course.STATE_FOLDER, OWNER):
        return OWNER
    hidden = any(part.startswith(".") for part in parts)
    return "/".join(parts) if parts[-1].endswith(".ipynb") and not hidden else ""
