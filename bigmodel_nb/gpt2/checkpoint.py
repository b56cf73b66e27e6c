"""Checkpoints of a fine-tuning run: safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import torch

from bigmodel_nb.errors import DataError, ModelError, ResourceError

STATE, OPTIMIZER = "training.json", "optimizer.safetensors"
KEEP = 2  # newest checkpoints that stay


def fingerprint(rows: torch.Tensor) -> str:
    """A short hash of the packed training rows."""
    return hashlib.sha256(rows.numpy().tobytes()).hexdigest()[:16]


class Store:
    """The folder of a run's checkpoints, `step-000025`, `step-000050`, ...

    A checkpoint is written under another name and renamed when it is complete, so a run that is
    killed leaves the one before. Of several processes one has `writes`, the others only know the
    names. Errors: ResourceError where the folder holds another run that was not to be resumed,
    DataError where the settings differ from those of the run to resume.
    """

    def __init__(self, folder: Path, settings: dict, resume: bool, writes: bool = True):
        self.folder, self.settings, self.writes, self.latest = folder, settings, writes, None
        self.every = max(1, min(100, settings["steps"] // 10))
        if not writes:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"can't make the checkpoint folder {folder}: {error.strerror}. Pass another.") from None
        for rest in folder.glob("*.part"):
            shutil.rmtree(rest, ignore_errors=True)
        found = self.found()
        if found and not resume:
            raise ResourceError(
                f"{folder} holds checkpoints of an earlier run. Pass resume=True to go on from "
                f"{found[-1].name}, or another checkpoint_dir; nothing was overwritten."
            )
        self.latest = found[-1] if found else None
        if self.latest is not None:
            check_settings(self.latest, settings)

    def found(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        names = [p for p in self.folder.glob("step-*") if re.fullmatch(r"step-\d{6,}", p.name)]
        return sorted((p for p in names if (p / STATE).is_file()), key=lambda p: int(p.name[5:]))

    def due(self, step: int) -> bool:
        """True at every tenth of the run, and at least every 100 steps."""
        return step % self.every == 0

    def holds(self, step: int) -> bool:
        """True if the newest checkpoint is of this step."""
        return self.latest is not None and self.latest.name == f"step-{step:06d}"

    def save(self, model, tokenizer, optimizer, state: dict) -> None:
        """Write a checkpoint that `load_gpt2` opens, then remove those before the newest two."""
        from safetensors.torch import save_file

        target = self.folder / f"step-{state['step']:06d}"
        spread = any(hasattr(p, "full_tensor") for p in model.parameters())  # over processes: all give their parts
        weights = {name: whole(value) for name, value in model.state_dict().items()} if spread else None
        tensors = optimizer_tensors(optimizer) if spread or self.writes else None
        if not self.writes:
            self.latest = target
            return
        part = target.with_name(target.name + ".part")
        try:
            shutil.rmtree(part, ignore_errors=True)
            with quiet():
                model.save_pretrained(part, state_dict=weights)
            if tokenizer is not None:
                tokenizer.save_pretrained(part)
            save_file(tensors, part / OPTIMIZER)
            (part / STATE).write_text(json.dumps({"settings": self.settings, **state}), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        except Exception as error:  # safetensors wraps the operating system's errors in its own
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError) or "os error" in str(error).lower() or "I/O" in str(error):
                last = self.latest.name if self.latest else "none"
                raise ResourceError(
                    f"can't write the checkpoint of step {state['step']} to {self.folder}: {error}. "
                    f"Free some disk space or pass another checkpoint_dir, then resume=True; "
                    f"last complete checkpoint: {last}."
                ) from None
            raise
        self.latest = target
        for old in self.found()[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)


def quiet():
    """Without the progress bar that transformers shows while it writes."""
    import contextlib

    from transformers.utils import logging

    @contextlib.contextmanager
    def hidden():
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            if shown:
                logging.enable_progress_bar()

    return hidden()


def optimizer_tensors(optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's tensors by name, `3.exp_avg` for the fourth parameter's first moment."""
    state = optimizer.state_dict()["state"]
    return {
        f"{i}.{name}": whole(value)
        for i, values in state.items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor on the CPU; of one that is spread over processes, all of it."""
    tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return tensor.detach().cpu().contiguous()


def check_settings(folder: Path, settings: dict) -> None:
    """Raise DataError where the run in `folder` had other settings."""
    before = read_state(folder)["settings"]
    other = [name for name in settings if before.get(name) != settings[name]]
    if other:
        shown = "; ".join(f"{name} was {before.get(name)!r}, now {settings[name]!r}" for name in other)
        raise DataError(
            f"{folder} can't be resumed with other settings ({shown}). Use the same texts, tokenizer "
            "and numbers, or another checkpoint_dir."
        )


def read_state(folder: Path) -> dict:
    """The JSON part of a checkpoint; ModelError where it can't be read."""
    try:
        return json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(folder, error) from None


def damaged(folder: Path, error: Exception) -> ModelError:
    """The error for a checkpoint that can't be read."""
    return ModelError(
        f"the checkpoint {folder} is damaged ({error}). Remove that folder and resume: the run goes on "
        "from the checkpoint before it."
    )


def load(folder: Path, model, optimizer) -> dict:
    """Put a checkpoint's tensors into model and optimiser, and return its state."""
    from safetensors.torch import load_file

    state = read_state(folder)
    try:
        weights = load_file(folder / "model.safetensors")
        tensors = load_file(folder / OPTIMIZER)
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except Exception as error:
        raise damaged(folder, error) from None
    tied = set(getattr(model, "all_tied_weights_keys", None) or getattr(model, "_tied_weights_keys", None) or ())
    if unexpected or set(missing) - tied:
        raise damaged(folder, ValueError(f"tensors missing: {missing}, unexpected: {unexpected}"))
    layout = optimizer.state_dict()
    layout["state"] = {}
    for name, value in tensors.items():
        i, key = name.split(".", 1)
        layout["state"].setdefault(int(i), {})[key] = value
    optimizer.load_state_dict(layout)
    return state
