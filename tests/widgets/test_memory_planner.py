"""The memory planner's state, input and fallback."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import pytest

from bigmodel_nb.errors import DataError
from bigmodel_nb.memory import SHAPES, plan
from bigmodel_nb.widgets import MemoryPlanner
from bigmodel_nb.widgets.memory_planner import OWN, amount


def test_plan_is_that_of_the_controls():
    widget = MemoryPlanner("gpt2-large", 4, 512, 24, precision="bfloat16", lora_rank=8, micro_batch=2, device="cuda")
    given = {"precision": "bfloat16", "lora_rank": 8, "device": "cuda"}
    assert widget.plan == plan("gpt2-large", 4, 512, micro_batch=2, **given)
    widget.batch, widget.checkpointing, widget.model = 1, True, "pocket"
    assert widget.plan == plan("pocket", 1, 256, checkpointing=True, **given)  # 512 is beyond its context
    widget.training, widget.new_tokens = False, 20
    assert widget.plan == plan("pocket", 1, 256, training=False, new_tokens=20, checkpointing=True, **given)


def test_takes_a_config():
    from transformers import GPT2Config

    config = GPT2Config(vocab_size=500, n_positions=64, n_embd=32, n_layer=2, n_head=2)
    widget = MemoryPlanner(config, 2, 64, 2)
    assert widget.model == OWN and widget.plan == plan(config, 2, 64)
    assert list(widget.shapes) == [*SHAPES, OWN]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(model="gpt5"), "config must be one of pocket"),
        (dict(model="pocket", block_size=512), "at most 256"),
        (dict(batch_size=0), "batch_size"),
        (dict(precision="int4"), "precision must be one of"),
        (dict(micro_batch=9), "micro_batch"),
        (dict(machine_gb=0), "machine_gb must be a number above 0"),
        (dict(machine_gb=math.inf), "machine_gb"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, message):
    with pytest.raises(DataError, match=message):
        MemoryPlanner(**arguments)


@pytest.mark.parametrize(("size", "text"), [(0, "0 MB"), (999e6, "999 MB"), (999.9e6, "1 GB"), (26_821_800_000, "26.8 GB")])
def test_amounts(size, text):
    assert amount(size) == text


def test_text_form_and_picture_are_of_the_start():
    widget = MemoryPlanner("pocket", 16, 128, 0.4)
    text, svg = repr(widget), widget.static_svg()
    assert text == ("MemoryPlanner: pocket, 16 rows of 128 tokens, float32, trained with adamw: "
                    "443 MB, does not fit into 400 MB")
    for words in ("gradient of the loss: 443 MB (highest)", "machine: 400 MB", "optimiser state 46.8 MB"):
        assert words in svg
    widget.batch = 1
    assert repr(widget) == text and widget.static_svg() == svg
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")
    assert repr(MemoryPlanner("pocket", 2, 4, 1, training=False, new_tokens=9)) == (
        "MemoryPlanner: pocket, 2 rows of 4 tokens, float32, 9 new tokens: 41.6 MB, fits into 1 GB")


def test_bars_end_where_the_moment_does():
    widget = MemoryPlanner("gpt2", 8, 1024, 80)
    picture = widget.picture()
    unit = (624 - 16) / 80e9 / 1.03
    rights = [max(x for x, _ in shape.points) for shape in picture.shapes if getattr(shape, "fill", None) == "#666666"]
    totals = [16 + sum(parts.values()) * unit for parts in widget.plan.moments.values()]
    assert rights[: len(totals)] == pytest.approx(totals)


def test_output_is_small():
    widget = MemoryPlanner("gpt2-xl", 8, 1024, 80, checkpointing=True)
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {
        "application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain",
    }
    assert len(json.dumps(data)) < 100_000 and len(json.dumps(widget.get_state())) < 60_000
