import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import tiny_notebook

ROOT = Path(__file__).parents[1]


def project_files() -> list[str]:
    """What a clone would hold: tracked files and new ones that git doesn't ignore."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def call(*command, cwd, **environment) -> str:
    """Standard output of a command; its whole output is in the failure message."""
    done = subprocess.run(
        [str(it) for it in command], cwd=cwd, text=True, capture_output=True, env={**os.environ, "PYTHONPATH": "", **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with wheel, editable wheel and sdist, made without Node from a copy that is gone afterwards."""
    clone, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("dist")
    for name in project_files():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    tiny_notebook.write(clone / "notebooks" / "99_last.ipynb", "1 + 1", lesson=99, title="Last")
    tiny_notebook.write(clone / "notebooks" / ".ipynb_checkpoints" / "99_last-checkpoint.ipynb", "junk")
    tiny_notebook.write(clone / "notebooks" / "Untitled.ipynb", "junk")
    tiny_notebook.write(clone / "bigmodel-nb-course" / "99_last.ipynb", "junk")
    call(sys.executable, "-m", "build", "--wheel", "--sdist", "--no-isolation", "-o", out, ".", cwd=clone, PATH="")
    call(sys.executable, "-c", f"import hatchling.build as b; b.build_editable({str(out / 'editable')!r})", cwd=clone, PATH="")
    shutil.rmtree(clone)
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    target = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    call(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel, cwd=target)
    return target


def wheel_names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as wheel:
        return set(wheel.namelist())


def test_a_wheel_holds_notebooks_and_data_but_no_junk(built):
    (wheel,) = built.glob("*.whl")
    names = wheel_names(wheel)
    notebooks = {Path(name).name for name in project_files() if name.startswith("notebooks/") and name.endswith(".ipynb")}
    assert {f"bigmodel_nb/notebooks/{name}" for name in notebooks | {"99_last.ipynb"}} <= names
    assert not [name for name in names if "Untitled" in name or "checkpoint.ipynb" in name or "__pycache__" in name]
    stem = wheel.name.removesuffix("-py3-none-any.whl")
    assert {name.partition("/")[0] for name in names} == {"bigmodel_nb", f"{stem}.dist-info", f"{stem}.data"}
    extension = f"{stem}.data/data/share/jupyter/labextensions/bigmodel-nb"
    enabled = f"{stem}.data/data/etc/jupyter/jupyter_server_config.d/bigmodel_nb.json"
    assert {f"{extension}/{name}" for name in ("package.json", "install.json", "lib/remoteEntry.js")} | {enabled} <= names


def test_a_wheel_holds_every_file_of_the_package(built):
    (wheel,) = built.glob("*.whl")
    package = {name for name in project_files() if name.startswith("bigmodel_nb/")}
    assert package <= wheel_names(wheel)
    assert any(name.endswith(".js") for name in package) and any(name.endswith(".safetensors") for name in package)


def test_an_editable_install_makes_no_copy(built):
    (wheel,) = (built / "editable").glob("*.whl")
    assert not [name for name in wheel_names(wheel) if name.endswith((".ipynb", ".safetensors", "course.py"))]


def test_a_source_distribution_can_build_the_wheel_again(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"hatch_build.py", "notebooks/99_last.ipynb", "README.md", "LICENSE", "bigmodel_nb/cli.py"} <= names
    assert not [name for name in names if "Untitled" in name or "bigmodel-nb-course" in name or "__pycache__" in name]


def test_the_installed_course_starts_twice_from_anywhere(installed, tmp_path):
    command = installed / "bin" / "bigmodel-nb"
    where = call(sys.executable, "-c", "import bigmodel_nb; print(bigmodel_nb.__file__)", cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(where.strip()).is_relative_to(installed)
    first = call(sys.executable, command, "start", "--no-open", cwd=tmp_path, PYTHONPATH=str(installed))
    assert "new      99_last.ipynb" in first
    mine = tmp_path / "bigmodel-nb-course" / "99_last.ipynb"
    tiny_notebook.edit(mine, 0, source="my own")
    before = mine.read_bytes()
    second = call(sys.executable, command, "start", "--no-open", cwd=tmp_path, PYTHONPATH=str(installed))
    assert "kept     99_last.ipynb: you changed it" in second and mine.read_bytes() == before


def test_the_installed_course_finds_its_model(installed, tmp_path):
    code = "from bigmodel_nb.gpt2.pocket import __path__ as p; import pathlib; print(*sorted(f.name for f in pathlib.Path(*p).iterdir()))"
    names = call(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed)).split()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names)
