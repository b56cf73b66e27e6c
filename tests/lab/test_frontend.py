"""The front end's files: complete, in two languages, and built from the sources beside them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import bigmodel_nb

ROOT = Path(__file__).parents[2]
LAB = ROOT / "bigmodel_nb" / "lab"
FRONTEND, EXTENSION = LAB / "frontend", LAB / "labextensions" / "bigmodel-nb"
SOURCES = sorted((FRONTEND / "src").glob("*.ts"))
CHINESE = LAB / "locale" / "zh_CN" / "LC_MESSAGES" / "bigmodel_nb.json"
WORDS = re.compile(r"trans\s*\.__\(\s*'((?:[^'\\]|\\.)*)'")
EVERY = re.compile(r"trans\s*\.__\(")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def said() -> set[str]:
    """Every text that the front end shows."""
    return {text for path in SOURCES for text in WORDS.findall(path.read_text(encoding="utf-8"))}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\d", text))


def test_every_word_has_a_chinese_one_and_no_other():
    schema = read(EXTENSION / "schemas" / "bigmodel-nb" / "plugin.json")
    chinese = read(CHINESE)
    about = chinese.pop("")
    assert (about["domain"], about["language"], about["version"]) == ("bigmodel_nb", "zh-CN", bigmodel_nb.__version__)
    assert set(chinese) == said() | {f"schema\4{schema[key]}" for key in ("title", "description")}
    for text, (translated,) in chinese.items():
        assert placeholders(translated) == placeholders(text) and re.search("[\u4e00-\u9fff]|GPU", translated), text


def test_every_word_is_written_out_where_it_is_used():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert len(WORDS.findall(text)) == len(EVERY.findall(text)), path.name


def test_an_unlisted_or_computed_word_would_be_found():
    assert WORDS.findall("trans.__('It\\'s %1', x)") == ["It\\'s %1"] and not WORDS.findall("trans.__(text)")


def test_jupyterlabs_packages_are_imported_as_types_only():
    for path in SOURCES:
        for line in re.findall(r"^import .*?;", path.read_text(encoding="utf-8"), re.M | re.S):
            assert line.startswith("import type ") or re.search(r"from '\./\w+\.js';$", line), f"{path.name}: {line}"


def test_text_never_becomes_markup():
    for path in SOURCES:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text(encoding="utf-8")), path.name


def test_nothing_comes_from_elsewhere():
    for path in [*SOURCES, *(path for path in EXTENSION.rglob("*") if path.is_file())]:
        urls = set(re.findall(r"https?://[\w./-]+", path.read_text(encoding="utf-8")))
        assert urls <= {"http://www.w3.org/2000/svg"}, path.name


def test_one_version():
    assert {read(folder / "package.json")["version"] for folder in (FRONTEND, EXTENSION)} == {bigmodel_nb.__version__}


def test_jupyter_finds_both_halves():
    (point,) = bigmodel_nb._jupyter_server_extension_points()
    assert point["module"] == "bigmodel_nb" and callable(bigmodel_nb._load_jupyter_server_extension)
    (half,) = bigmodel_nb._jupyter_labextension_paths()
    assert (ROOT / "bigmodel_nb" / half["src"]).samefile(EXTENSION) and half["dest"] == read(EXTENSION / "package.json")["name"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["jupyterlab.locale"] == {"bigmodel_nb": "bigmodel_nb.lab"}
    for source in project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]:
        assert (ROOT / source).exists(), source


def test_every_shortcut_has_a_command():
    schema = read(EXTENSION / "schemas" / "bigmodel-nb" / "plugin.json")
    plugin = (FRONTEND / "src" / "plugin.ts").read_text(encoding="utf-8")
    assert "'bigmodel-nb:plugin'" in plugin  # the schema's file name
    for shortcut in schema["jupyter.lab.shortcuts"]:
        assert shortcut["selector"] == "body[data-bigmodel-nb]"  # not in the user's other sessions
        assert f"['{shortcut['command'].partition(':')[2]}', " in plugin


def test_every_source_is_built():
    built = {path.stem for path in (EXTENSION / "lib").glob("*.js")}
    assert built == {path.stem for path in SOURCES}


@pytest.mark.required_in_ci
def test_the_built_files_are_those_of_the_sources(tmp_path):
    """Compiles with the packages that `npm ci` puts beside the sources; skipped where they aren't."""
    compiler = FRONTEND / "node_modules" / "typescript" / "bin" / "tsc"
    if not (shutil.which("node") and compiler.is_file()):
        pytest.skip("no TypeScript here: npm ci --ignore-scripts in bigmodel_nb/lab/frontend")
    done = subprocess.run(["node", compiler, "--outDir", tmp_path], cwd=FRONTEND, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for path in tmp_path.glob("*.js"):
        assert path.read_bytes() == (EXTENSION / "lib" / path.name).read_bytes(), path.name
