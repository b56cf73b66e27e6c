"""The page for teachers: its commands parse, its configuration loads, its link says what it means."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from traitlets.config import Config

import bigmodel_nb
from bigmodel_nb import cli, course
from bigmodel_nb.exercises import find

PAGE = (Path(bigmodel_nb.__file__).parent / "classroom" / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.S)
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.S) for line in block.splitlines() if line.startswith("bigmodel-nb ")]


def configuration() -> Config:
    found, names = Config(), {}
    for block in PYTHON:
        if re.search(r"^c\.", block, re.M):
            exec(compile(block, "jupyterhub_config.py", "exec"), names | {"c": found})
    return found


def test_all_python_compiles_and_names_exercises():
    assert len(PYTHON) == 3
    for block in PYTHON:
        compile(block, "README.md", "exec")
    assert find(re.search(r'exercises\.check\("([\w.]+)"', PAGE)[1])


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line):
    words, extra = cli._split(shlex.split(line)[1:])
    assert cli._parser().parse_args(words).command and (words[0] == "bench") == bool(extra)


def test_the_hub_starts_a_workspace_and_then_the_server(tmp_path):
    config = configuration()
    shell, flag, script, rest = config.Spawner.cmd
    assert config.JupyterHub.spawner_class == "simple" and "{username}" in config.SimpleLocalProcessSpawner.home_dir_template
    for name in ("bigmodel-nb", "jupyterhub-singleuser"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$(basename "$0")" "$@" "$BIGMODEL_NB_HOME"\n')
        (tmp_path / name).chmod(0o755)
    if not shutil.which(shell):
        pytest.skip("no bash here")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/ann"}
    done = subprocess.run([shell, flag, script, rest, "--port=1"], env=env, capture_output=True, text=True, check=True)
    folder = "/home/ann/bigmodel-nb-course"
    assert done.stdout.splitlines() == [f"bigmodel-nb start {folder} --no-open {folder}", f"jupyterhub-singleuser --port=1 {folder}"]
    opened = config.Spawner.default_url.removeprefix("/lab/tree/bigmodel-nb-course/")
    assert opened in [lesson.file for lesson in course.lessons()]


def test_the_link_opens_a_notebook_of_what_it_pulls():
    link = urlsplit(re.search(r"https://HUB\S+", PAGE)[0])
    asked = {name: value for name, (value,) in parse_qs(link.query, strict_parsing=True).items()}
    assert link.path == "/hub/user-redirect/git-pull" and asked["repo"].startswith("https://")
    folder, _, file = asked["urlpath"].removeprefix("lab/tree/").partition("/")
    assert folder == asked["targetPath"] and file in [lesson.file for lesson in course.lessons()]


def test_the_readme_leads_here():
    readme = Path(bigmodel_nb.__file__).parents[1] / "README.md"
    if not readme.exists():
        pytest.skip("no source checkout")
    assert "(bigmodel_nb/classroom/README.md)" in readme.read_text(encoding="utf-8")
