"""Fine-tuning: the course's own training loop, resumable, as lesson 13 writes it out.

Each step takes `batch_size` rows, adds up the gradients of micro-batches that fit into memory,
clips them and lets AdamW step. The order of the rows and the dropout masks depend on the seed and
the step alone, so a run that was killed and resumed goes on exactly as it would have. Started in
several processes (see `processes`), each takes its share of the same rows; without dropout the
losses are those of one process.

`python -m bigmodel_nb.gpt2.finetune --help` runs it from a command line (see `command`).
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F

from bigmodel_nb import memory
from bigmodel_nb.errors import DataError, ResourceError
from bigmodel_nb.gpt2 import checkpoint, data, lean, processes
from bigmodel_nb.gpt2.evaluate import logits_of, perplexity

SEQUENCES = 16  # rows a step that "auto" means on every machine
SAMPLE_TOKENS = 40


@dataclass(frozen=True)
class Settings:
    """What a run is made of; a checkpoint can be resumed only with the same settings."""

    steps: int
    batch_size: int
    block_size: int
    lr: float
    precision: str
    seed: int
    rows: int
    tokens: str  # fingerprint of the packed training rows


@dataclass
class FinetuneResult:
    """A finished run. `.history` is a list of {"step", "loss", "lr"}, one for each step."""

    history: list[dict] = field(repr=False)
    perplexity_before: float | None
    perplexity_after: float | None
    tokens_per_second: float = field(repr=False)
    checkpoint: Path | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        text = f"FinetuneResult({len(self.history)} steps"
        if self.history:
            text += f", loss {self.history[0]['loss']:.2f} to {self.history[-1]['loss']:.2f}"
        if self.perplexity_after is not None:
            text += f", held-out perplexity {self.perplexity_before:.3g} to {self.perplexity_after:.3g}"
        return text + ")"

    def plot(self) -> None:
        """Show the loss of each step and its running mean."""
        import matplotlib.pyplot as plt

        from bigmodel_nb.figures import show

        steps = [row["step"] for row in self.history]
        losses = [row["loss"] for row in self.history]
        means = running_mean(losses)
        fig, ax = plt.subplots(figsize=(6, 3.2))
        ax.plot(steps, losses, color="0.75", label="each step")
        ax.plot(steps, means, label="running mean")
        ax.set(xlabel="step", ylabel="loss (nats a token)")
        ax.legend()
        show(fig, f"Training loss over {len(steps)} steps: the running mean goes from {means[0]:.1f} "
                  f"to {means[-1]:.1f} nats a token.")


def running_mean(values: list[float], weight: float = 0.9) -> list[float]:
    """Exponential running mean that starts at the first value.

    >>> running_mean([1.0, 2.0], weight=0.5)
    [1.0, 1.5]
    """
    means: list[float] = []
    for value in values:
        means.append(weight * means[-1] + (1 - weight) * value if means else value)
    return means


def finetune(model, tokenizer, texts, held_out=None, steps=200, max_seconds=None, batch_size="auto",
             block_size=None, lr=None, precision="auto", checkpoint_dir=None, resume=False, seed=0):
    """Train `model` in place on `texts` to predict the next token -> FinetuneResult.

    texts and held_out are a str or a list of str; of held_out the perplexity is measured before and
    after. batch_size "auto" is 16 rows of `block_size` tokens (default: 128, or the context if that
    is shorter) a step on every machine; where memory runs out, smaller micro-batches are added up
    to the same gradient. lr defaults to 1e-3 below 20 million parameters and 1e-4 above; it warms
    up over a tenth of the run (at most 20 steps) and then falls linearly to 0. max_seconds ends the
    training early, and the learning rate falls accordingly. precision is "auto" (device.pick),
    "float32" or "bfloat16". With checkpoint_dir the run is saved about ten times, as folders that
    `load_gpt2` opens; resume=True goes on from the newest, in any number of processes. Called in
    processes that accelerate or torchrun started together, they share the rows of each step, and
    the main one alone shows and writes. Errors: DataError for texts or numbers that can't work,
    ResourceError for memory, disk and folders. Source: Loshchilov & Hutter (2019).
    """
    run = Run.prepare(model, tokenizer, texts, steps, max_seconds, batch_size, block_size, lr, precision, seed)
    team = run.team
    store = None if checkpoint_dir is None else run.store(Path(checkpoint_dir), resume)
    if held_out is not None:
        held_out = data.as_texts(held_out, "held_out")
    display = team.display(steps, held_out is not None, "Fine-tuning")
    message = "stopped"
    try:
        latest = store and store.latest
        before = team.each(lambda: run.restore(latest)) if latest is not None else None
        if before is None and held_out is not None and run.step == 0:
            before = perplexity(model, tokenizer, held_out)
        if before is not None:
            display.held_out(0, before)
        run.join()
        run.train(display, tokenizer, store, before)
        after = perplexity(model, tokenizer, held_out) if held_out is not None else None
        if after is not None:
            display.held_out(run.step, after)
        message = "finished"
    finally:
        display.finish(message)
        team.release()
    return FinetuneResult(run.history, before, after, run.tokens_per_second, store and store.latest)


@dataclass
class Run:
    """A training run in progress: `.step` steps are done, `.history` holds their losses."""

    model: torch.nn.Module
    x: torch.Tensor  # (rows, block_size)
    y: torch.Tensor
    eos: int
    settings: Settings
    optimizer: torch.optim.Optimizer
    device: torch.device
    max_seconds: float | None = None
    step: int = 0
    history: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    trained_tokens: int = 0
    micro_batch: int = 0
    team: processes.Alone | processes.Team = field(default_factory=processes.Alone)
    spread: torch.nn.Module | None = None  # `loss` as a module that brings the processes' gradients together
    rehearsals: int = 0

    @classmethod
    def prepare(cls, model, tokenizer, texts, steps, max_seconds, batch_size, block_size, lr, precision, seed):
        """Check the arguments, pack the texts, and set up model and optimiser."""
        context = model.config.n_positions
        block_size = min(context, 128) if block_size is None else block_size
        batch_size = SEQUENCES if batch_size == "auto" else batch_size
        check_numbers(steps, max_seconds, batch_size, block_size, context, lr, precision)
        documents = data.encode(model, tokenizer, texts)
        tokens = sum(map(len, documents))
        if tokens < block_size:
            raise DataError(
                f"the texts hold {tokens} tokens, fewer than one block of {block_size}. "
                f"Give more text, or pass block_size={max(8, tokens // 2)}."
            )
        eos = data.end_id(model, tokenizer)
        x, y = data.pack(documents, block_size, eos)
        team = processes.here()
        if batch_size < team.count:
            raise DataError(
                f"a batch_size of {batch_size} can't be shared by {team.count} processes: each needs a row at least. "
                f"Start {batch_size} at most, or pass a larger batch_size."
            )
        device, dtype = team.place(precision)
        if lr is None:
            lr = 1e-3 if sum(p.numel() for p in model.parameters()) < 20e6 else 1e-4
        settings = Settings(steps, batch_size, block_size, lr, dtype, seed, len(x), checkpoint.fingerprint(x))
        team.check(asdict(settings))
        model.to(device)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.0, fused=True)
        return cls(model, x, y, eos, settings, optimizer, device, max_seconds, micro_batch=batch_size, team=team)

    def join(self) -> None:
        """Bring the model and the optimiser together with those of the other processes."""
        self.spread, self.optimizer = self.team.join(self.model, self.loss, self.optimizer)

    def store(self, folder: Path, resume: bool) -> checkpoint.Store:
        """The run's checkpoints in `folder`, which the main process alone touches."""
        store = self.team.each(lambda: checkpoint.Store(folder, asdict(self.settings), resume, self.team.main))
        store.latest = self.team.told(store.latest)
        return store

    def rows_of(self, step: int) -> torch.Tensor:
        """Row numbers of a step: each pass over the rows in an order of its own."""
        n, size = self.settings.rows, self.settings.batch_size
        places = range(step * size, (step + 1) * size)
        orders = {p // n: None for p in places}
        for epoch in orders:
            generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + epoch)
            orders[epoch] = torch.randperm(n, generator=generator)
        return torch.stack([orders[p // n][p % n] for p in places])

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0: linear warm-up, then linear decay."""
        total = self.settings.steps
        warmup = min(20, total // 10)
        done = step / total
        if self.max_seconds is not None:
            done = max(done, self.seconds / self.max_seconds)
        return self.settings.lr * min(1.0, (step + 1) / (warmup + 1), (1 - done) / (1 - warmup / total))

    def train(self, display, tokenizer=None, store=None, before=None) -> None:
        """Take the steps that are left, saving and showing samples on the way."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        training = self.model.training
        pauses = {round(self.settings.steps * i / 4) for i in (1, 2, 3)}
        with contextlib.ExitStack() as stack:
            stack.callback(self.model.train, training)
            stack.enter_context(torch.random.fork_rng(enabled=has_dropout(self.model)))
            while self.step < self.settings.steps and not self.out_of_time():
                self.rehearse()
                begun = time.perf_counter()
                lr = self.lr_at(self.step)
                loss = self.take_step(parameters, lr)
                self.seconds += time.perf_counter() - begun
                if self.max_seconds is not None:
                    self.seconds = self.team.told(self.seconds)
                self.step += 1
                self.history.append({"step": self.step, "loss": loss, "lr": lr})
                self.report(display, loss)
                if store is not None and store.due(self.step):
                    self.save(store, tokenizer, before)
                if tokenizer is not None and self.step in pauses and not self.team.sharded:
                    display.sample(self.step, self.sample_text(tokenizer))
            if store is not None and self.history and not store.holds(self.step):
                self.save(store, tokenizer, before)

    def save(self, store, tokenizer, before: float | None) -> None:
        """Write a checkpoint; where that fails, all processes raise the error."""
        self.team.each(lambda: store.save(self.model, tokenizer, self.optimizer, self.state(before)))

    def out_of_time(self) -> bool:
        """True once `max_seconds` of training have passed."""
        return self.max_seconds is not None and self.seconds >= self.max_seconds

    def take_step(self, parameters, lr: float) -> float:
        """One step of the optimiser on the rows of this step -> mean loss a token, in nats."""
        rows = self.rows_of(self.step)
        least = 1 if self.team.count == 1 else self.micro_batch  # with others waiting, no pass can be repeated
        loss, fitted = memory.retry_smaller(lambda size: self.accumulate(rows, size), self.micro_batch, least)
        self.micro_batch = fitted
        if not math.isfinite(loss):
            raise DataError(
                f"the loss became {loss} at step {self.step + 1}: the training diverged. "
                f"Start again from a fresh model with a smaller lr than {self.settings.lr:g}."
            )
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    def accumulate(self, rows: torch.Tensor, micro_batch: int) -> float:
        """Gradients of the mean loss over `rows`, added up over micro-batches; nothing is stepped.

        Several processes add up theirs during the last micro-batch of each.
        """
        count = int((self.y[rows] != data.IGNORED).sum())
        *first, last = self.team.share(rows).split(micro_batch)
        self.start_gradients()
        with self.team.apart() if first else contextlib.nullcontext():
            total = sum(self.add_gradients(part, count) for part in first)
        total += self.add_gradients(last, count)
        self.trained_tokens += count
        return self.team.sum(total)

    def rehearse(self) -> None:
        """Find the micro-batch that fits, before this process' gradients meet the others'.

        The first two steps of a run in several processes are computed once more, for memory alone:
        the second has the optimiser's state beside it.
        """
        if self.team.count == 1 or self.team.sharded or self.rehearsals == 2:
            return
        rows = self.team.share(self.rows_of(self.step))

        def attempt(size: int) -> None:
            self.start_gradients()
            for part in rows.split(size):
                self.add_gradients(part, 1)

        with self.team.apart():
            _, self.micro_batch = memory.retry_smaller(attempt, self.micro_batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.rehearsals += 1

    def start_gradients(self) -> None:
        """No gradients, and the step's own dropout masks."""
        self.optimizer.zero_grad(set_to_none=True)
        self.model.train()
        if has_dropout(self.model):
            torch.manual_seed(self.settings.seed * 1_000_003 + self.step + (self.team.index << 40))

    def add_gradients(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        """Add the gradients of the loss summed over `rows` and divided by `count`; returns that loss."""
        x, y = self.x[rows].to(self.device), self.y[rows].to(self.device)
        loss = (self.spread or self.loss)(x, y) / count
        self.team.backward(loss)
        return loss.detach()

    def loss(self, x, y):
        """Summed cross-entropy of the labelled tokens: x, y (B, T) -> scalar."""
        positions, mask = lean.document_mask(x, self.eos)
        lower = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=lower):
            logits = logits_of(self.model, x, positions, mask)
        return F.cross_entropy(logits.float().flatten(0, 1), y.flatten(), ignore_index=data.IGNORED, reduction="sum")

    @property
    def tokens_per_second(self) -> float:
        """Trained tokens a second of training, without evaluation, samples and saving."""
        return self.trained_tokens / max(self.seconds, 1e-9)

    def report(self, display, loss: float) -> None:
        """Tell the display how far the run is."""
        left = self.seconds / self.step * (self.settings.steps - self.step)
        if self.max_seconds is not None:
            left = min(left, self.max_seconds - self.seconds)
        display.add(self.step, loss, self.tokens_per_second, memory.rss(), max(0.0, left))

    def sample_text(self, tokenizer) -> str:
        """A short continuation of the first words of the first row, for the display."""
        from bigmodel_nb.gpt2.generate import generate

        prompt = tokenizer.decode(self.x[0, 1:5].tolist())
        return generate(self.model, tokenizer, prompt, SAMPLE_TOKENS, seed=self.settings.seed).text

    def state(self, before: float | None) -> dict:
        """What a checkpoint holds beside the model's and the optimiser's tensors."""
        return {"step": self.step, "history": self.history, "seconds": self.seconds,
                "trained_tokens": self.trained_tokens, "micro_batch": self.micro_batch,
                "perplexity_before": before}

    def restore(self, folder: Path) -> float | None:
        """Go on from a checkpoint; returns the held-out perplexity measured before its run."""
        if not folder.is_dir():
            raise ResourceError(f"{folder} is not there on every machine. To resume, let all of them share it.")
        state = checkpoint.load(folder, self.model, self.optimizer)
        for name in ("step", "history", "seconds", "trained_tokens", "micro_batch"):
            setattr(self, name, state[name])
        return state["perplexity_before"]


def check_numbers(steps, max_seconds, batch_size, block_size, context, lr, precision) -> None:
    """Raise DataError for a setting that can't work, naming the range."""
    def whole(name, value, low, high=None):
        if not isinstance(value, int) or value < low or (high is not None and value > high):
            most = "" if high is None else f" and at most {high}, the model's context"
            raise DataError(f"{name} must be a whole number of at least {low}{most}; received {value!r}.")

    whole("steps", steps, 1)
    whole("batch_size", batch_size, 1)
    whole("block_size", block_size, 8, context)
    if max_seconds is not None and not max_seconds > 0:
        raise DataError(f"max_seconds must be above 0, or None; received {max_seconds!r}.")
    if lr is not None and not 0 < lr < 1:
        raise DataError(f"lr must lie between 0 and 1, for example 1e-3; received {lr!r}.")
    if precision not in ("auto", "float32", "bfloat16"):
        raise DataError(f'precision must be "auto", "float32" or "bfloat16"; received {precision!r}.')


def has_dropout(model) -> bool:
    """True if some dropout of the model's configuration is above 0."""
    return any(getattr(model.config, name, 0.0) for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"))


if __name__ == "__main__":
    import sys

    from bigmodel_nb.gpt2 import command

    sys.exit(command.main())
