"""One fine-tuning in several processes: what a launcher started, seen through accelerate.

`here()` is a `Team` in a process that accelerate, torchrun or notebook_launcher started beside
others, and `Alone` in any other; `finetune` asks it wherever the number of processes matters. Each
process holds the whole model and takes its share of the rows of a step; accelerate wraps the loss
in DistributedDataParallel, which brings the gradients together while they are computed, so that
every process takes the same step. Set up for FSDP2 (not tried on GPUs so far), accelerate also
spreads the parameters, gradients and moments themselves. Sources: Li et al. (2020), Zhao et al. (2023).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import torch

from bigmodel_nb.errors import CourseError, DataError, ResourceError


class Alone:
    """A single process: all rows are its own, there is nobody to agree with."""

    count, index, main, sharded = 1, 0, True, False

    def place(self, precision: str) -> tuple[torch.device, str]:
        """Where to train, and "float32" or "bfloat16"."""
        from bigmodel_nb import device

        picked = device.pick()
        return picked.device, format_of(precision, picked)

    def join(self, model, loss, optimizer):
        """The loss needs no module of its own; the optimiser as it is."""
        return None, optimizer

    def check(self, settings) -> None:
        """Nobody has other settings."""

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """All rows."""
        return rows

    def apart(self):
        """A context in which gradients stay in this process, as they always do."""
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss."""
        loss.backward()

    def sum(self, value: torch.Tensor) -> float:
        """The value itself."""
        return float(value)

    def each(self, call: Callable[[], Any]) -> Any:
        """The result of `call`."""
        return call()

    def told(self, value: Any) -> Any:
        """The value itself."""
        return value

    def display(self, *arguments):
        """A display of the run."""
        from bigmodel_nb.widgets import training_monitor

        return training_monitor.progress_display(*arguments)

    def release(self) -> None:
        """Nothing to give back."""

    def end(self) -> None:
        """Nothing to end."""


class Team:
    """One of `.count` processes that train one model; `.main` alone shows and writes anything."""

    def __init__(self):
        from accelerate import Accelerator, DistributedDataParallelKwargs

        from bigmodel_nb import device

        # a process forked from a notebook has lost the threads that it inherits, and would wait for them
        threads = 1 if multiprocessing.parent_process() else int(os.environ.get("OMP_NUM_THREADS") or 1)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else accelerate chooses, and says so in each process
        torch.set_num_threads(threads)
        forced = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
        on_cpu = forced or device.pick().device.type == "cpu"
        no_copies = DistributedDataParallelKwargs(gradient_as_bucket_view=True)  # of the gradients
        self.accelerator = Accelerator(cpu=on_cpu, mixed_precision="no", kwargs_handlers=[no_copies])
        kind = str(self.accelerator.distributed_type.value)
        self.sharded = getattr(self.accelerator, "is_fsdp2", False)  # older versions of accelerate know FSDP1 only
        if not (self.sharded or kind.startswith("MULTI_")):
            raise ResourceError(
                f"accelerate was set up for {kind}, which this training loop does not support. "
                "Next: launch it with --multi_gpu, with --use_fsdp --fsdp_version 2, or with torchrun."
            )
        self.count = self.accelerator.num_processes
        self.index = self.accelerator.process_index
        self.main = self.accelerator.is_main_process

    def place(self, precision: str) -> tuple[torch.device, str]:
        """This process' device, and the number format that the main process chose for all."""
        from bigmodel_nb import device

        picked = device.pick(self.accelerator.device)
        return picked.device, self.told(format_of(precision, picked))

    def join(self, model, loss, optimizer):
        """A module that computes `loss` and brings the gradients of all processes together; the optimiser.

        The parameters become those of the main process everywhere. Where the model itself is spread,
        its own passes do it, and there is no module.
        """
        if self.sharded:
            return None, self.shard(model, optimizer)
        self.wrapped, optimizer = self.accelerator.prepare(Objective(model, loss), optimizer)
        return self.wrapped, optimizer.optimizer

    def shard(self, model, optimizer):
        """Spread the model's parameters over the processes, and the optimiser's state like them; the optimiser."""
        from torch.distributed.tensor import distribute_tensor

        states = [optimizer.state.pop(p, {}) for group in optimizer.param_groups for p in group["params"]]
        optimizer = self.accelerator.prepare(model, optimizer)[1].optimizer
        for p, state in zip((p for group in optimizer.param_groups for p in group["params"]), states):
            for name, value in state.items():
                spread = distribute_tensor(value, p.device_mesh, p.placements) if value.ndim else value
                optimizer.state[p][name] = spread
        return optimizer

    def check(self, settings) -> None:
        """Raise DataError in every process where one has other settings or texts than the others."""
        from accelerate.utils import gather_object

        first, *rest = gather_object([settings])
        other = sorted({name for it in rest for name in first if it[name] != first[name]})
        if other:
            raise DataError(f"the processes were not started with the same {', '.join(other)}. Give all the same.")

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """This process' part of the rows of a step; the first processes take one more where it isn't even."""
        with self.accelerator.split_between_processes(rows) as mine:
            return mine

    def apart(self):
        """A context in which gradients stay in this process until the next backward pass outside it."""
        return self.accelerator.no_sync(self.wrapped)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss; those of all processes are averaged, so each counts `count` times."""
        self.accelerator.backward(loss * self.count)

    def sum(self, value: torch.Tensor) -> float:
        """Sum of a number over all processes."""
        return float(self.accelerator.reduce(value, "sum"))

    def each(self, call: Callable[[], Any]) -> Any:
        """The result of `call` in this process; where it fails in one of them, all raise that error."""
        from accelerate.utils import gather_object

        result = error = None
        try:
            result = call()
        except CourseError as caught:
            error = caught
        for failed in gather_object([error]):
            if failed is not None:
                raise failed
        return result

    def told(self, value: Any) -> Any:
        """The main process' value, in every process."""
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def display(self, *arguments):
        """Plain lines in the main process, nothing in the others: none of them is a notebook's kernel."""
        from bigmodel_nb.widgets import training_monitor

        return training_monitor.PlainLines(*arguments) if self.main else training_monitor.quiet

    def release(self) -> None:
        """Let go of the model and the optimiser; the processes stay connected."""
        self.accelerator.free_memory()

    def end(self) -> None:
        """End the connection with the other processes."""
        self.accelerator.end_training()


class Objective(torch.nn.Module):
    """A loss as the forward pass of a module, the form in which accelerate takes it."""

    def __init__(self, model, loss):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, x, y):
        """x, y (B, T) -> scalar."""
        return self.loss(x, y)


def here() -> Alone | Team:
    """The processes that work with this one: a Team where a launcher says so in the environment."""
    launched = "RANK" in os.environ or torch.distributed.is_available() and torch.distributed.is_initialized()
    return Team() if launched and int(os.environ.get("WORLD_SIZE") or 1) > 1 else Alone()


def asked_in_vain() -> bool:
    """True where accelerate was asked for several processes and, on CPUs without MPI, started one."""
    return "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ and "WORLD_SIZE" not in os.environ


def format_of(precision: str, picked) -> str:
    """"float32" or "bfloat16": the one asked for, or what `device.pick` takes for "auto"."""
    if precision != "auto":
        return precision
    return "bfloat16" if picked.dtype == torch.bfloat16 else "float32"
