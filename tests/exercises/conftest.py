import importlib.util
from pathlib import Path

import pytest

from bigmodel_nb import exercises
from bigmodel_nb.exercises.engine import progress

HERE = Path(__file__).parent


def load(path):
    """A helper module of these tests, by its path below this folder."""
    file = HERE / path
    spec = importlib.util.spec_from_file_location(file.stem + "_for_tests", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(folder, attribute):
    """One dict of what every lesson's module in a folder holds."""
    found = {}
    for file in sorted((HERE / folder).glob("*.py")):
        found.update(getattr(load(f"{folder}/{file.name}"), attribute))
    return found


def pytest_generate_tests(metafunc):
    if "exercise" in metafunc.fixturenames:
        everything = exercises.catalogue()
        metafunc.parametrize("exercise", everything, ids=[e.id for e in everything])
    if "misconception" in metafunc.fixturenames:
        pairs = [(e, m) for e in exercises.catalogue() for m in e.misconceptions]
        names = [f"{e.id}-{m.name}" for e, m in pairs]
        metafunc.parametrize(("of", "misconception"), pairs, ids=names)
    for fixture, folder, attribute in (("outsider", "outside", "OUTSIDE"), ("right", "right_versions", "RIGHT")):
        if fixture in metafunc.fixturenames:
            found = answers(folder, attribute)
            pairs = [(id, work) for id, works in found.items() for work in works]
            names = [f"{id}-{work.__name__}" for id, work in pairs]
            metafunc.parametrize(("id", fixture), pairs, ids=names)


@pytest.fixture(scope="session")
def second_versions():
    return answers("second_versions", "VERSIONS")


@pytest.fixture(scope="session")
def outside():
    return answers("outside", "OUTSIDE")


@pytest.fixture(scope="session")
def mutants():
    return load("support/mutants.py")


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A working directory without a workspace, and an empty memory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BIGMODEL_NB_HOME", raising=False)
    progress.forget_memory()
    yield tmp_path
    progress.forget_memory()


@pytest.fixture
def workspace(nowhere):
    (nowhere / ".bigmodel_nb").mkdir()
    return nowhere
