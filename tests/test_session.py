"""`bn.setup`: seeds, silence, style."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from bigmodel_nb import session
from bigmodel_nb.errors import DataError


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    import matplotlib

    for name in session.QUIET:  # monkeypatch puts the environment back
        monkeypatch.setenv(name, os.environ.get(name, ""))
    with matplotlib.rc_context():
        yield


def drawn():
    import torch

    return random.random(), np.random.rand(), torch.rand(1).item()


def test_the_same_seed_gives_the_same_numbers_everywhere():
    session.setup()
    first = drawn()
    session.setup(0)
    assert drawn() == first
    session.setup(1)
    assert all(a != b for a, b in zip(drawn(), first))


def test_it_prints_nothing_and_its_text_is_constant(capsys):
    assert repr(session.setup()) == repr(session.setup()) == "bigmodel-nb course session, seed 0"
    assert capsys.readouterr() == ("", "")


def test_the_number_of_threads_is_left_alone():
    import torch

    before = torch.get_num_threads()
    session.setup()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None, True])
def test_a_seed_that_is_none(seed):
    with pytest.raises(DataError, match="seed must be an integer"):
        session.setup(seed)


@pytest.mark.parametrize("given, told", [(True, [True]), ("off", [False]), (False, [])])
def test_own_code_is_passed_on(monkeypatch, given, told):
    from bigmodel_nb import exercises

    heard = []
    monkeypatch.setattr(exercises, "set_own_code", heard.append)
    session.setup(own_code=given)
    assert heard == told


@pytest.mark.parametrize("given", ["on", None, 2])
def test_another_own_code(given):
    with pytest.raises(DataError, match="own_code must be"):
        session.setup(own_code=given)


def run(code: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k not in session.QUIET}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)


LOAD = """
import contextlib, io, sys, tempfile
def load():
    import transformers as t
    config = t.GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=10, bos_token_id=0, eos_token_id=0)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as shown:
        t.GPT2LMHeadModel(config).save_pretrained(folder)
        t.GPT2LMHeadModel.from_pretrained(folder)
    return shown.getvalue()
"""


def test_setup_first_is_light_and_keeps_later_imports_quiet():
    answer = run(
        LOAD + "import bigmodel_nb as bn; bn.setup()\n"
        "print(sorted({'transformers', 'matplotlib.pyplot'} & {*sys.modules}), repr(load()))\n"
        "from tqdm import tqdm; [*tqdm([1])]; print('own bar', file=sys.stderr); [*tqdm([1], disable=False)]"
    )
    assert answer.stdout == "[] ''\n"
    assert answer.stderr.startswith("own bar\n") and "100%" in answer.stderr


def test_setup_after_transformers_switches_its_bars_off():
    answer = run(LOAD + "before = load(); import bigmodel_nb as bn; bn.setup(); print('Loading' in before, repr(load()))")
    assert (answer.stdout, answer.stderr.count("%")) == ("True ''\n", 0)


def test_the_style_is_set_twice_alike():
    import matplotlib

    session.setup()
    once = dict(matplotlib.rcParams)
    session.setup()
    assert dict(matplotlib.rcParams) == once
    assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0] == "#0072B2"


FORKED = """
import multiprocessing, torch
import bigmodel_nb as bn
bn.setup()
torch.set_num_threads(2)
torch.ones(1000, 1000).sum()
child = multiprocessing.get_context("fork").Process(target=lambda: torch.ones(1000, 1000).sum())
child.start()
child.join(20)
print(child.exitcode)
child.kill()
"""


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="this system has no forks")
def test_a_forked_process_computes():
    assert run(FORKED).stdout == "0\n"
