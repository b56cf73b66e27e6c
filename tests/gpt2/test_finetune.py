"""The training loop: what it learns, that it resumes exactly, and what it refuses."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

import bigmodel_nb as bn
from bigmodel_nb.errors import DataError, ModelError, ResourceError
from bigmodel_nb.gpt2 import checkpoint
from bigmodel_nb.gpt2 import finetune as loop

from .conftest import WORDS, make_tiny

SMALL = {"steps": 12, "batch_size": 4, "block_size": 16, "precision": "float32"}


@pytest.fixture(autouse=True)
def no_lines(monkeypatch):
    """Without the plain lines that a run prints outside a notebook."""
    from bigmodel_nb.widgets import training_monitor

    monkeypatch.setattr(training_monitor, "progress_display", lambda *a, **k: training_monitor.quiet)


def losses(result):
    return [row["loss"] for row in result.history]


def run(tokenizer, dropout=0.0, texts=WORDS, **changes):
    model = make_tiny(dropout)
    return bn.finetune(model, tokenizer, texts, **{**SMALL, **changes}), model


def test_held_out_perplexity_falls_on_shakespeare(pocket):
    from pathlib import Path

    file = Path(__file__).parents[3] / "shared" / "corpus" / "tinyshakespeare.txt"
    if not file.exists():
        pytest.skip("needs shared/corpus/tinyshakespeare.txt, which is not part of the project")
    text = file.read_text()
    model, tokenizer = bn.load_gpt2("pocket")
    result = bn.finetune(model, tokenizer, text[:300_000], text[300_000:320_000], steps=60, precision="float32")
    print(result)
    assert result.perplexity_after <= 0.4 * result.perplexity_before


def test_it_learns_and_its_text_form_holds_no_time(tiny):
    result, _ = run(tiny[1], held_out=WORDS[:300], lr=5e-3, steps=30)
    assert result.perplexity_after < 0.5 * result.perplexity_before
    assert repr(result).startswith("FinetuneResult(30 steps, loss 8.3") and "/s" not in repr(result)
    assert [row["step"] for row in result.history] == list(range(1, 31))


def test_held_out_is_optional(tiny):
    result, _ = run(tiny[1], steps=2)
    assert result.perplexity_before is None and result.perplexity_after is None


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("killed_after", [1, 5, 11])
def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(tiny, tmp_path, monkeypatch, dropout, killed_after):
    straight, expected = run(tiny[1], dropout)

    class Killed(BaseException):
        pass

    take = loop.Run.take_step

    def take_or_die(self, *arguments):
        if self.step == killed_after:
            raise Killed
        return take(self, *arguments)

    monkeypatch.setattr(loop.Run, "take_step", take_or_die)
    with pytest.raises(Killed):
        run(tiny[1], dropout, checkpoint_dir=tmp_path)
    monkeypatch.setattr(loop.Run, "take_step", take)
    torch.rand(3)  # what happens to the global generator does not matter
    resumed, model = run(tiny[1], dropout, checkpoint_dir=tmp_path, resume=True)
    assert losses(resumed) == losses(straight)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected.parameters()))


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from tests.gpt2.conftest import WORDS, make_tiny
import bigmodel_nb as bn
_, tokenizer = bn.load_gpt2("pocket")
bn.finetune(make_tiny(), tokenizer, WORDS, steps=400, batch_size=4, block_size=16, precision="float32",
            checkpoint_dir=sys.argv[1], resume=True)
"""


def test_sigkill_at_any_moment_leaves_a_checkpoint_that_can_be_resumed(tiny, tmp_path, request):
    folder, root = tmp_path / "checkpoints", str(request.config.rootpath)
    random.seed(0)
    reached = []
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), root], cwd=root,
                                 stdout=subprocess.DEVNULL)
        before = len(reached) and reached[-1]
        deadline = time.monotonic() + 120
        while newest(folder) <= before and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(random.random())
        child.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        child.wait()
        reached.append(newest(folder))
    assert reached[0] >= 40 and reached[1] >= reached[0]
    store = checkpoint.Store(folder, json.loads((folder / f"step-{reached[1]:06d}" / "training.json").read_text())["settings"], True)
    model = make_tiny()
    state = checkpoint.load(store.latest, model, torch.optim.AdamW(model.parameters()))
    assert state["step"] == reached[1] == len(state["history"])
    assert not list(folder.glob("*.part"))


def newest(folder):
    return max((int(p.name[5:]) for p in folder.glob("step-*") if p.name[5:].isdigit()), default=0)


def test_checkpoints_are_models_that_load(tiny, tmp_path):
    result, model = run(tiny[1], checkpoint_dir=tmp_path)
    again, tokenizer = bn.load_gpt2(result.checkpoint)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values()))
    assert tokenizer("the king")["input_ids"] == tiny[1]("the king")["input_ids"]
    assert len(list(tmp_path.iterdir())) == checkpoint.KEEP
    assert not list(tmp_path.rglob("*.bin")) and not list(tmp_path.rglob("*.pt"))


def test_accumulating_micro_batches_gives_the_same_gradient(tiny):
    trained = loop.Run.prepare(make_tiny(), tiny[1], ["the king went home", WORDS], 1, None, 8, 16, 1e-3, "float32", 0)
    rows, gradients = trained.rows_of(0), []
    for size in (8, 3, 1):
        loss = trained.accumulate(rows, size)
        gradients.append([p.grad.clone() for p in trained.model.parameters()] + [torch.tensor(loss)])
    for other in gradients[1:]:
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients[0], other))


def test_running_out_of_memory_halves_the_micro_batch_and_changes_no_loss(tiny, monkeypatch):
    expected, _ = run(tiny[1], batch_size=16)
    compute, sizes = loop.Run.loss, []

    def only_four(self, x, y):
        sizes.append(len(x))
        if len(x) > 4:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return compute(self, x, y)

    monkeypatch.setattr(loop.Run, "loss", only_four)
    with pytest.warns(UserWarning, match="4 at once fit"):
        result, _ = run(tiny[1], batch_size=16)
    assert losses(result) == pytest.approx(losses(expected), abs=1e-5)
    assert sizes[:3] == [16, 8, 4] and set(sizes[3:]) == {4}


def test_memory_for_not_even_one_row_is_a_clear_error(tiny, monkeypatch):
    def never(self, x, y):
        raise MemoryError

    monkeypatch.setattr(loop.Run, "loss", never)
    with pytest.raises(ResourceError, match="shorter sequences or a smaller model"):
        run(tiny[1])


def test_labels_never_cross_a_document(tiny):
    trained = loop.Run.prepare(make_tiny(), tiny[1], ["the king", "a fox", WORDS], 1, None, 4, 16, 1e-3, "float32", 0)
    x, y = trained.x[:1].clone(), trained.y[:1]
    border = (x[0] == 0).nonzero()[1]
    row = trained.loss(x, y).item()
    second = y.clone()
    second[:, :border] = -100
    alone = trained.loss(x, second).item()
    x[0, 1:border] = 77
    assert trained.loss(x, second).item() == alone and trained.loss(x, y).item() != row


def test_max_seconds_ends_the_run_and_the_learning_rate(tiny):
    result, _ = run(tiny[1], steps=100_000, max_seconds=3)
    assert 1 <= len(result.history) < 100_000
    assert result.history[-1]["lr"] < 0.7 * max(row["lr"] for row in result.history)


def test_learning_rate_warms_up_and_falls(tiny):
    result, _ = run(tiny[1], steps=40, lr=1e-3)
    rates = [row["lr"] for row in result.history]
    assert rates[0] < rates[3] and max(rates) <= 1e-3 and rates[-1] < 1e-4
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_each_pass_takes_every_row_once_in_an_order_of_its_own(tiny):
    trained = loop.Run.prepare(make_tiny(), tiny[1], WORDS, 100, None, 4, 16, 1e-3, "float32", 0)
    n = len(trained.x)
    drawn = torch.cat([trained.rows_of(s) for s in range(n)]).tolist()
    passes = [drawn[i : i + n] for i in range(0, 4 * n, n)]
    assert all(sorted(p) == list(range(n)) for p in passes) and passes[0] != passes[1]


def test_a_folder_with_another_run_is_not_overwritten(tiny, tmp_path):
    run(tiny[1], checkpoint_dir=tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(ResourceError, match="resume=True .*nothing was overwritten"):
        run(tiny[1], checkpoint_dir=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_other_settings_or_texts_can_not_be_resumed(tiny, tmp_path):
    run(tiny[1], checkpoint_dir=tmp_path)
    with pytest.raises(DataError, match="lr was .* now 0.5"):
        run(tiny[1], checkpoint_dir=tmp_path, resume=True, lr=0.5)
    with pytest.raises(DataError, match="tokens was"):
        run(tiny[1], checkpoint_dir=tmp_path, resume=True, texts=WORDS.replace("fox", "dog"))


def test_a_damaged_checkpoint_is_named(tiny, tmp_path):
    result, _ = run(tiny[1], checkpoint_dir=tmp_path)
    file = result.checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged.*Remove that folder and resume"):
        run(tiny[1], checkpoint_dir=tmp_path, resume=True)


def test_a_full_disk_says_which_checkpoint_is_whole(tiny, tmp_path, monkeypatch):
    import safetensors.torch

    write, calls = safetensors.torch.save_file, []

    def full(tensors, path, *rest, **more):
        calls.append(path)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(tensors, path, *rest, **more)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(ResourceError, match="No space left.*last complete checkpoint: step-00000"):
        run(tiny[1], checkpoint_dir=tmp_path)
    assert list(tmp_path.glob("step-*[0-9]"))
    assert not list(tmp_path.glob("*.part"))


def test_divergence_is_named(tiny):
    model = make_tiny()
    with torch.no_grad():
        model.transformer.wte.weight[5:] = float("inf")
    with pytest.raises(DataError, match="diverged.*smaller lr"):
        bn.finetune(model, tiny[1], WORDS, **SMALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": ""}, "texts is empty"),
        ({"texts": "The king."}, "fewer than one block of 16.*block_size="),
        ({"steps": 0}, "steps must be"),
        ({"steps": -3}, "steps must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"block_size": 65}, "at most 64, the model's context"),
        ({"block_size": 2}, "at least 8"),
        ({"lr": 0}, "lr must lie"),
        ({"max_seconds": 0}, "max_seconds must be"),
        ({"precision": "half"}, "precision must be"),
        ({"held_out": " "}, "held_out is empty"),
    ],
)
def test_settings_that_can_not_work_are_named(tiny, changes, message):
    with pytest.raises(DataError, match=message):
        run(tiny[1], **changes)


def test_plot_describes_the_curve(tiny, capsys):
    run(tiny[1])[0].plot()
    assert 'line "running mean" (12 points)' in capsys.readouterr().out
