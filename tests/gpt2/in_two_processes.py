"""What test_processes.py has two processes do: each writes its results to FOLDER/INDEX.json."""

import json
import os
import sys
from pathlib import Path

import bigmodel_nb as bn
from bigmodel_nb.errors import CourseError
from bigmodel_nb.gpt2 import checkpoint, command, processes
from bigmodel_nb.gpt2 import finetune as loop
from tests.gpt2.conftest import WORDS, make_tiny

SMALL = {"steps": 10, "batch_size": 4, "block_size": 16, "precision": "float32", "lr": 5e-3}
STOPPED = 4


class Stopped(BaseException):
    """What a kill would do, seen from inside."""


def losses(tokenizer, texts=WORDS, dropout=0.0, **changes) -> list[float]:
    """The losses of a run of a fresh tiny model."""
    result = bn.finetune(make_tiny(dropout), tokenizer, texts, **{**SMALL, **changes})
    return [row["loss"] for row in result.history]


def until_stopped(tokenizer, folder: Path) -> None:
    """A run of which nothing stays but its checkpoint of step STOPPED."""
    take = loop.Run.take_step

    def take_or_stop(self, *arguments):
        if self.step == STOPPED:
            raise Stopped
        return take(self, *arguments)

    loop.Run.take_step = take_or_stop
    try:
        losses(tokenizer, checkpoint_dir=folder)
    except Stopped:
        pass
    finally:
        loop.Run.take_step = take


def out_of_memory_above(rows: int):
    """`Run.loss` on a machine whose memory holds so many rows at once."""
    compute = loop.Run.loss

    def limited(self, x, y):
        if len(x) > rows:
            raise MemoryError
        return compute(self, x, y)

    return limited


def message_of(call) -> str:
    """The text of the course's own error that a call raises."""
    try:
        call()
    except CourseError as error:
        return str(error)
    return ""


def sharded(tokenizer, folder: Path) -> dict:
    """The same with FSDP2, which accelerate leaves out on CPUs: it is told that these are GPUs."""
    from accelerate import PartialState
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
                   "FSDP_RESHARD_AFTER_FORWARD": "true"}
    AcceleratorState._shared_state.clear()
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    until_stopped(tokenizer, folder)
    again = losses(tokenizer, checkpoint_dir=folder, resume=True, held_out=WORDS[:200])
    return {"sharded": losses(tokenizer), "sharded, resumed": again}


def codes(folder: Path) -> list[int]:
    """Exit codes of the command, once with a mistake."""
    (folder / "text.txt").write_text(WORDS)
    few = ["--steps", "1", "--batch-size", "2", "--block-size", "16", "--checkpoint-dir", str(folder / "command")]
    end, processes.Team.end = processes.Team.end, lambda self: None
    mistaken = command.main(["--texts", str(folder / "nowhere"), *few])
    processes.Team.end = end
    return [mistaken, command.main(["--texts", str(folder / "text.txt"), *few])]


def main(folder: Path) -> None:
    index = int(os.environ["RANK"])
    loop.Run.sample_text = lambda self, tokenizer: "a sample"  # which takes longer than a step of the tiny model
    _, tokenizer = bn.load_gpt2("pocket")
    found = {
        "even": losses(tokenizer, held_out=WORDS[:200]),
        "uneven": losses(tokenizer, batch_size=5),
        "resumed from one": losses(tokenizer, checkpoint_dir=folder / "one", resume=True),
        "timed": losses(tokenizer, steps=10_000, max_seconds=0.3),
        "too few rows": message_of(lambda: losses(tokenizer, batch_size=1)),
        "other texts": message_of(lambda: losses(tokenizer, WORDS + "." * index)),
        "folder in use": message_of(lambda: losses(tokenizer, checkpoint_dir=folder / "one")),
        "dropout": losses(tokenizer, dropout=0.1, steps=2),
    }
    until_stopped(tokenizer, folder / "two")
    writes = checkpoint.Store.save
    checkpoint.Store.save = lambda self, *_: (_ for _ in ()).throw(CourseError("disk full")) if self.writes else None
    found["disk full"] = message_of(lambda: losses(tokenizer, checkpoint_dir=folder / "full"))
    checkpoint.Store.save = writes
    compute = loop.Run.loss
    loop.Run.loss = out_of_memory_above(1 if index else 2)
    found["little memory"] = losses(tokenizer, batch_size=6)
    loop.Run.loss = compute
    found |= sharded(tokenizer, folder / "sharded")
    found["codes"] = codes(folder)
    (folder / f"{index}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
