"""`bigmodel-nb bench`: the course's own loops beside those of transformers, timed in one run.

Both sides are measured by the wall clock, in turns, and the better of the repetitions counts on
each side, since a busy machine only ever makes a run slower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

BLOCK, BATCH = 128, 16
PROMPT = "Once upon a time there was"


@dataclass(frozen=True)
class Row:
    """One line of the table: our figure, the other's, and the bar that their ratio must reach."""

    name: str
    unit: str
    ours: float
    other: float | None = None
    bar: float | None = None  # ours / other must be at least this
    most: float | None = None  # or: ours must be at most this
    note: str = ""

    @property
    def holds(self) -> bool:
        """True if the row has no bar or reaches it."""
        if self.bar is not None:
            return self.ours / self.other >= self.bar
        return self.most is None or self.ours <= self.most

    def cells(self) -> list[str]:
        """The row as text."""
        ratio = "" if self.other is None else f"{self.ours / self.other:.2f}x"
        bar = f"at least {self.bar}x" if self.bar is not None else f"at most {self.most:g}" if self.most else ""
        verdict = "" if not bar else "holds" if self.holds else "FALLS SHORT"
        other = "" if self.other is None else f"{self.other:,.4g}"
        return [self.name, f"{self.ours:,.4g} {self.unit}", other, ratio, bar, verdict, self.note]


def seconds(fn) -> float:
    """Wall-clock seconds of one call."""
    begun = time.perf_counter()
    fn()
    return time.perf_counter() - begun


def in_turns(ours, other, repeat: int) -> tuple[float, float]:
    """The shortest of `repeat` timings of each of two functions, called alternately."""
    pairs = [(seconds(ours), seconds(other)) for _ in range(repeat)]
    return min(a for a, _ in pairs), min(b for _, b in pairs)


def blocks() -> list[list[int]]:
    """Rows of BLOCK + 1 tokens of Python's documentation, for both training loops."""
    import bigmodel_nb as bn

    _, tokenizer = bn.load_gpt2("pocket")
    ids = [i for text in bn.datasets.python_docs() for i in tokenizer(text, verbose=False)["input_ids"]]
    return [ids[i : i + BLOCK + 1] for i in range(0, len(ids) - BLOCK, BLOCK)]


def fresh_run(model, rows, steps: int):
    """Our training loop on prepared rows, in float32 at a constant learning rate."""
    from bigmodel_nb.gpt2.finetune import Run, Settings

    data = torch.tensor(rows)
    settings = Settings(steps, BATCH, BLOCK, 1e-3, "float32", 0, len(data), "bench")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    run = Run(model, data[:, :-1], data[:, 1:], -1, settings, optimizer, torch.device("cpu"), micro_batch=BATCH)
    run.rows_of = lambda step: (step * BATCH + torch.arange(BATCH)) % len(data)
    run.lr_at = lambda step: settings.lr
    return run


def trainer_on(model, rows, steps: int, folder: str, **other):
    """transformers' Trainer on the same rows in the same order, with the same rates."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    quiet = dict(report_to="none", save_strategy="no", disable_tqdm=True, use_cpu=True,
                 dataloader_pin_memory=False, logging_strategy="no", max_steps=steps)
    same = dict(per_device_train_batch_size=BATCH, learning_rate=1e-3, weight_decay=0.0,
                lr_scheduler_type="constant", train_sampling_strategy="sequential")
    # the first token is predicted by nobody; some versions of Trainer count its label all the same
    dataset = [{"input_ids": row, "labels": [-100, *row[1:]]} for row in rows]
    trainer = Trainer(model, TrainingArguments(folder, **quiet, **(other or same)), train_dataset=dataset)
    trainer.remove_callback(PrinterCallback)
    return trainer


def mean_loss(model, rows) -> float:
    """Loss of a model on some rows, in nats a token."""
    data = torch.tensor(rows)
    with torch.inference_mode():
        return float(model.eval()(data, labels=data).loss)


def training_rows(steps: int, repeat: int) -> list[Row]:
    """Our loop against Trainer at the same precision, data and batch, and at its defaults."""
    import bigmodel_nb as bn
    from bigmodel_nb.widgets.training_monitor import quiet

    rows = blocks()[: steps * BATCH]
    test, tokens = rows[:32], steps * BATCH * BLOCK
    best = {"ours": 1e9, "trainer": 1e9, "default": 1e9}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeat):
            models = {name: bn.load_gpt2("pocket")[0] for name in best}
            run = fresh_run(models["ours"], rows, steps)
            same = trainer_on(models["trainer"], rows, steps, folder)
            default = trainer_on(models["default"], rows, steps, folder, per_device_train_batch_size=8)
            for name, call in (("ours", lambda: run.train(quiet)), ("trainer", same.train), ("default", default.train)):
                best[name] = min(best[name], seconds(call))
    ours, theirs = mean_loss(models["ours"], test), mean_loss(models["trainer"], test)
    apart = abs(ours / theirs - 1)
    note = f"loss after {steps} steps {ours:.4f} and {theirs:.4f}, {apart:.3%} apart" + " LOSSES DIFFER" * (apart > 0.02)
    rate = tokens / best["ours"]
    return [
        Row("fine-tuning, against Trainer in float32", "tokens/s", rate, tokens / best["trainer"], 1.1, note=note),
        Row("fine-tuning, against Trainer's defaults", "tokens/s", rate, tokens / 2 / best["default"],
            note="its batch is 8"),
    ]


def finetuned(text: str, steps: int, processes: int, threads: int) -> dict:
    """The state of a checkpoint after `steps` of the command line's fine-tuning in fresh processes."""
    from bigmodel_nb.gpt2 import checkpoint

    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", f"--num_processes={processes}", "--num_machines=1",
                "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "text.txt"), Path(folder, "run")
        source.write_text(text, encoding="utf-8")
        command = [sys.executable, *(launcher if processes > 1 else []), "-m", "bigmodel_nb.gpt2.finetune", "--model", "pocket", "--texts", source,
                   "--steps", str(steps), "--precision", "float32", "--checkpoint-dir", target]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "BIGMODEL_NB_DEVICE": "cpu"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return checkpoint.read_state(target / f"step-{steps:06d}")


def processes_row(steps: int, repeat: int) -> Row:
    """Two processes of one thread each against one of two threads, 16 rows a step in both."""
    import bigmodel_nb as bn

    text = "\n".join(bn.datasets.python_docs())[: 20_000 * steps]
    runs = [(finetuned(text, steps, 2, 1), finetuned(text, steps, 1, 2)) for _ in range(repeat)]
    two, one = (max(run["trained_tokens"] / run["seconds"] for run in side) for side in zip(*runs))
    apart = [abs(a["loss"] - b["loss"]) for pair in runs for a, b in zip(*(run["history"] for run in pair))]
    equal = all(gap <= 1e-4 for gap in apart)
    note = f"losses of {steps} steps at most {max(apart):.0e} apart" + " LOSSES DIFFER" * (not equal)
    return Row("fine-tuning, two processes, against one of two threads", "tokens/s", two, one, note=note)


def small_shape():
    """A GPT-2 small with random numbers: the shape decides the speed."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config()).eval()


def sampling_row(name: str, model, n: int, repeat: int, bar: float | None) -> Row:
    """Greedy sampling against model.generate, token for token."""
    from bigmodel_nb.gpt2.generate import sample

    prompt = [11, 12, 13, 14, 15, 16]
    ids = torch.tensor([prompt])
    out = {}

    def ours():
        out["ours"] = [s.token for s in sample(model, [prompt], n, 0, None, None, None, -1)[0]]

    def other():
        out["other"] = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0
        )[0, len(prompt) :].tolist()

    ours_s, other_s = in_turns(ours, other, repeat)
    note = "greedy tokens equal" if out["ours"] == out["other"] else "GREEDY TOKENS DIFFER"
    return Row(f"sampling, {name}, against generate", "tokens/s", n / ours_s, n / other_s, bar, note=note)


def many_row(model, tokenizer, n: int, repeat: int) -> Row:
    """16 samples at once against one after the other."""
    from bigmodel_nb.gpt2.generate import generate

    def count(results):
        return sum(len(r.tokens) for r in results)

    tokens = {}

    def at_once():
        tokens["at once"] = count(generate(model, tokenizer, [PROMPT] * 16, n, seed=0))

    def in_sequence():
        tokens["in sequence"] = count([generate(model, tokenizer, PROMPT, n, seed=i) for i in range(16)])

    fast, slow = in_turns(at_once, in_sequence, repeat)
    return Row("16 samples at once, against one by one", "tokens/s",
               tokens["at once"] / fast, tokens["in sequence"] / slow, 3.0)


def flops_row(name: str, model, batch: int, repeat: int, rate: float) -> Row:
    """Achieved FLOP/s of training steps as a share of the matrix products' rate."""
    from bigmodel_nb.gpt2.flops import training_flops

    ids = torch.randint(model.config.vocab_size, (batch, BLOCK + 1)).tolist()
    run = fresh_run(model.train(), ids * 2, 1)
    run.rows_of = lambda step: torch.arange(batch)
    parameters = list(model.parameters())
    run.micro_batch = batch
    run.take_step(parameters, 1e-5)
    best = min(seconds(lambda: run.take_step(parameters, 1e-5)) for _ in range(repeat))
    achieved = training_flops(model.config, BLOCK) * batch * BLOCK / best
    return Row(f"training FLOP/s, {name}", "GFLOP/s", achieved / 1e9, rate / 1e9, note="beside the matrix product's rate")


def memory_rows() -> list[Row]:
    """What memory.plan says beside the peak of fresh processes."""
    from bigmodel_nb.memory import check

    found = []
    for shape, cases in check.CASES.items():
        for mode, case in cases.items():
            planned, peak = check.planned(shape, mode, *case).total, check.measured(shape, mode, *case)
            apart = abs(planned / peak - 1)
            note = f"planned, and measured: {apart:.1%} apart" + " THEY DIFFER" * (apart > 0.15)
            found.append(Row(f"memory, {shape} {mode}, {case[0]} x {case[1]}", "MB", planned / 1e6, peak / 1e6, note=note))
    return found


def import_row() -> Row:
    """Import time of the package, without torch, in a fresh process."""
    code = ("import time; b = time.perf_counter(); import bigmodel_nb, sys; s = time.perf_counter() - b; "
            "assert 'torch' not in sys.modules; print(s)")
    times = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
             for _ in range(3)]
    return Row("import bigmodel_nb", "s", min(times), most=0.2)


def lesson_row(cell: str = "samples") -> Row:
    """From the start of lesson 13's kernel to the first sample of the fine-tuned model."""
    import nbformat

    from bigmodel_nb import course, run

    path = course.lesson(13).path
    notebook = nbformat.read(path, as_version=4)
    last = next(i for i, c in enumerate(notebook.cells) if c["id"] == cell)
    notebook.cells = notebook.cells[: last + 1]
    with tempfile.TemporaryDirectory() as folder:
        part = f"{folder}/{path.name}"
        nbformat.write(notebook, part)
        report = run.execute(part)
    if report.error:
        raise RuntimeError(report.error)
    return Row("lesson 13: start to first fine-tuned sample", "s", report.seconds, most=60)


def rows(quick: bool = False):
    """The rows of the table, one by one as they are measured."""
    import bigmodel_nb as bn

    repeat, steps, n = (1, 2, 8) if quick else (3, 20, 150)
    bn.setup()
    yield from training_rows(steps, repeat)
    yield processes_row(steps, min(2, repeat))
    model, tokenizer = bn.load_gpt2("pocket")
    yield sampling_row("pocket", model, n, repeat, 1.5)
    yield many_row(model, tokenizer, max(8, n // 3), repeat)
    rate = bn.device.matmul_rate(256 if quick else 2048)
    yield flops_row("pocket, 16 x 128", model, 16, repeat, rate)
    if not quick:
        small = small_shape()
        yield sampling_row("GPT-2 small's shape", small, 40, 2, None)
        yield flops_row("GPT-2 small's shape, 2 x 128", small, 2, 2, rate)
        del small
        yield from memory_rows()
    yield import_row()
    if not quick:
        yield lesson_row()


def main(argv: list[str] | None = None) -> int:
    """Print the table; returns 1 if a figure falls short of its bar."""
    parser = argparse.ArgumentParser(prog="bigmodel-nb bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds: that it runs, not how fast")
    arguments = parser.parse_args(argv)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    print("\t".join(["what", "ours", "other", "ratio", "bar", "verdict", "note"]), flush=True)
    short = False
    for row in rows(arguments.quick):
        print("\t".join(row.cells()), flush=True)
        short |= not row.holds or "DIFFER" in row.note
    return int(short and not arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
