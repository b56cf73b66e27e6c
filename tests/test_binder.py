"""What can be judged of binder/ without building the image."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"
LINK = "https://mybinder.org/v2/gh/bigmodel-nb/bigmodel-nb/HEAD?urlpath=lab/tree/bigmodel-nb-course/00_start_here.ipynb"


def requirements() -> dict[str, Requirement]:
    lines = (line.strip() for line in (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith(("#", "--"))]
    return {canonicalize_name(r.name): r for r in found}


def test_it_holds_what_the_package_needs_at_versions_that_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {canonicalize_name((r := Requirement(line)).name): r for line in project["dependencies"]}
    here = requirements()
    assert set(here) == set(needed)
    for name, requirement in needed.items():
        for pin in here[name].specifier:
            version = pin.version.split("+")[0]
            assert requirement.specifier.contains(version), f"{name} {pin} against {requirement.specifier}"


def test_torch_is_the_cpu_build_and_jupyterlab_is_left_to_the_image():
    text = (BINDER / "requirements.txt").read_text(encoding="utf-8")
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in text
    assert str(requirements()["torch"].specifier).endswith("+cpu")
    assert not requirements()["jupyterlab"].specifier


def test_no_local_path_that_would_reinstall_everything_at_each_commit():
    assert not re.search(r"^(-e|-r|-c|\.|/|file:)", (BINDER / "requirements.txt").read_text(encoding="utf-8"), re.M)


def test_the_python_version_is_one_that_the_package_supports():
    version = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert Requirement(f"x{project['requires-python']}").specifier.contains(f"{version}.0")


def test_post_build_is_a_program_that_makes_the_workspace_of_the_link():
    script = BINDER / "postBuild"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_bytes().startswith(b"#!/bin/sh\n") and b"\r" not in script.read_bytes()
    if sh := shutil.which("sh"):
        subprocess.run([sh, "-n", str(script)], check=True)
    folder = re.search(r"start --no-open (\S+)", script.read_text(encoding="utf-8"))[1]
    assert f"lab/tree/{folder}/00_start_here.ipynb" in LINK
    assert LINK in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not shutil.which("sh"), reason="no shell")
def test_a_session_gets_the_courses_settings(tmp_path):
    (tmp_path / "python").symlink_to(sys.executable)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_PATH": "/others"}
    script = BINDER / "start"
    assert script.stat().st_mode & stat.S_IXUSR
    said = subprocess.run([script, "sh", "-c", 'echo "$JUPYTER_CONFIG_PATH"'], env=environment, capture_output=True, text=True, check=True)
    folder, others = said.stdout.strip().split(":")
    assert others == "/others" and (Path(folder) / "labconfig" / "default_setting_overrides.json").is_file()


@pytest.mark.skipif(not shutil.which("jupyter-repo2docker"), reason="repo2docker isn't installed")
def test_repo2docker_installs_the_packages_before_it_copies_the_repository():
    command = ["jupyter-repo2docker", "--no-build", "--debug", "--user-id", "1000", "--user-name", "jovyan", str(ROOT)]
    dockerfile = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    text = dockerfile.stdout + dockerfile.stderr
    install = text.index("pip install --no-cache-dir -r")
    assert install < text.index("COPY --chown=1000:1000 src/ ${REPO_DIR}")
    assert "binder/postBuild" in text
