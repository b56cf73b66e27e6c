"""Will it fit? The memory of a GPT-2, part by part and moment by moment, against a machine's.

`memory.plan` is the mathematics; memory_planner.js holds the same formulas, so that moving a control
needs no kernel, and tests compare the two.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import traitlets as t

from bigmodel_nb.errors import DataError
from bigmodel_nb.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from bigmodel_nb.memory import SHAPES, Plan, plan
from bigmodel_nb.memory.planning import CONTEXT, HEAP, LIBRARIES, PARTS, WORKSPACE, shape_of

from .base import CourseWidget, front_end, style
from .picture import FAINT, GRID, INK, Picture, ticks

OWN = "your model"
COLOURS = (BLUE, RED, ORANGE, GREEN, PURPLE, GREY)
CONSTANTS = {"heap": HEAP, "context": CONTEXT, "workspace": WORKSPACE, "training": LIBRARIES[True],
             "inference": LIBRARIES[False]}
STATE = {  # trait -> argument of memory.plan
    "batch": "batch_size", "block": "block_size", "training": "training", "precision": "precision",
    "optimizer": "optimizer", "rank": "lora_rank", "checkpointing": "checkpointing", "device": "device",
}
WIDTH, LEFT, RIGHT, TOP, STEP, BAR = 640, 16, 624, 66, 34, 14


def amount(size: float) -> str:
    """Bytes with three digits.

    >>> amount(442_781_952), amount(16e9)
    ('443 MB', '16 GB')
    """
    return f"{size / 1e6:.3g} MB" if size < 999.5e6 else f"{size / 1e9:.3g} GB"


def count_of(number: int, thing: str) -> str:
    """A number with its noun.

    >>> count_of(1, "row"), count_of(16, "row")
    ('1 row', '16 rows')
    """
    return f"{number:,} {thing}{'s' * (number != 1)}"


class MemoryPlanner(CourseWidget):
    """Plans the memory of `model`, a name of `bn.memory.SHAPES` or a GPT2Config, on a machine of `machine_gb` (10^9 bytes).

    The arguments are those of `bn.memory.plan`, and `.plan` is its answer for the controls as they
    stand. A bar for each moment of a step shows what lies in memory then; the highest decides.
    """

    _esm = front_end("memory_planner")
    _css = style("memory_planner")

    shapes = t.Dict().tag(sync=True)
    constants = t.Dict(CONSTANTS).tag(sync=True)
    model = t.Unicode().tag(sync=True)
    training = t.Bool().tag(sync=True)
    batch = t.Int().tag(sync=True)
    micro = t.Int().tag(sync=True)  # rows at once; 0: all of the batch
    block = t.Int().tag(sync=True)
    new_tokens = t.Int().tag(sync=True)
    precision = t.Unicode().tag(sync=True)
    optimizer = t.Unicode().tag(sync=True)
    rank = t.Int().tag(sync=True)
    checkpointing = t.Bool().tag(sync=True)
    device = t.Unicode().tag(sync=True)
    machine_gb = t.Float().tag(sync=True)

    def __init__(
        self, model: Any = "gpt2", batch_size: int = 8, block_size: int = 1024, machine_gb: float = 16, *,
        training: bool = True, precision: str = "float32", optimizer: str = "adamw", lora_rank: int = 0,
        checkpointing: bool = False, micro_batch: int | None = None, new_tokens: int = 100, device: str = "cpu",
    ) -> None:
        if not (math.isfinite(machine_gb) and machine_gb > 0):
            raise DataError(f"machine_gb must be a number above 0; received {machine_gb!r}.")
        plan(model, batch_size, block_size, training=training, precision=precision, optimizer=optimizer,
             lora_rank=lora_rank, checkpointing=checkpointing, micro_batch=micro_batch, device=device,
             new_tokens=0 if training else new_tokens)  # raises for what can't work
        shapes = {name: shape_of(name) for name in SHAPES}
        if not isinstance(model, str):
            shapes[OWN] = shape_of(model)
        super().__init__(
            shapes=shapes, model=model if isinstance(model, str) else OWN, training=training, batch=batch_size,
            micro=micro_batch or 0, block=block_size, new_tokens=new_tokens, precision=precision,
            optimizer=optimizer, rank=lora_rank, checkpointing=checkpointing, device=device, machine_gb=machine_gb,
        )
        self._first = self.plan, self._settings(), machine_gb * 1e9

    @property
    def plan(self) -> Plan:
        """The plan for the controls as they stand now."""
        shape = SimpleNamespace(**self.shapes[self.model])
        given = {argument: getattr(self, trait) for trait, argument in STATE.items()}
        given["block_size"] = min(self.block, shape.n_positions)
        given["micro_batch"] = min(self.micro, self.batch) or None
        given["new_tokens"] = 0 if self.training else self.new_tokens
        return plan(shape, **given)

    def _settings(self) -> str:
        """The controls in words."""
        words = [self.model, f"{count_of(self.batch, 'row')} of {self.block:,} tokens", self.precision]
        if self.training:
            words += [f"trained with {self.optimizer}", f"LoRA of rank {self.rank}" * (self.rank > 0)]
            words += [f"{count_of(self.micro, 'row')} at once" * (0 < self.micro < self.batch), "checkpointing" * self.checkpointing]
        else:
            words += [count_of(self.new_tokens, "new token")]
        return ", ".join(filter(None, [*words, "on a GPU" * (self.device != "cpu")]))

    def describe(self) -> str:
        made, settings, machine = self._first
        return (
            f"MemoryPlanner: {settings}: {amount(made.total)}, "
            f"{'fits' if made.fits(machine) else 'does not fit'} into {amount(machine)}"
        )

    def picture(self) -> Picture:
        """A bar for each moment, and the machine's memory as a line, as at first."""
        made, settings, machine = self._first
        end = max(made.total, machine) * 1.03
        bottom = TOP + STEP * len(made.moments)
        picture = Picture(WIDTH, bottom + 66, self.describe())
        unit = (RIGHT - LEFT) / end
        picture.text(LEFT, 20, settings[:95], colour=INK)
        for gb in ticks(0, end / 1e9):
            x = LEFT + gb * 1e9 * unit
            picture.line([(x, TOP - 14), (x, bottom)], GRID, 1)
            picture.text(x, bottom + 16, f"{gb:g} GB" if gb else "0", 11, FAINT, "middle")
        for i, (name, parts) in enumerate(made.moments.items()):
            y, x = TOP + i * STEP, LEFT
            words = f"{name}: {amount(sum(parts.values()))}" + " (highest)" * (name == made.moment)
            picture.text(LEFT, y - 2, words, 11, INK if name == made.moment else FAINT)
            for size, colour in zip(parts.values(), COLOURS):
                picture.rect(x, y + 2, size * unit, BAR, colour)
                x += size * unit
        edge = LEFT + machine * unit
        picture.line([(edge, 34), (edge, bottom)], INK, 2, dashed=True)
        left = edge > WIDTH / 2
        picture.text(edge + (-6 if left else 6), 42, f"machine: {amount(machine)}", 11, INK, "end" if left else "start")
        for i, (name, colour) in enumerate(zip(PARTS, COLOURS)):
            x, y = LEFT + 200 * (i % 3), bottom + 38 + 18 * (i // 3)
            picture.rect(x, y - 9, 10, 10, colour)
            picture.text(x + 15, y, f"{name} {amount(made.parts[name])}", 11)
        return picture
