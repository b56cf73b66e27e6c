"""The anatomy widget's numbers against real models, its input and its fallback."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel

from bigmodel_nb.errors import DataError
from bigmodel_nb.widgets import ModelAnatomy
from bigmodel_nb.widgets.model_anatomy import short

TINY = {"vocab_size": 50, "n_positions": 16, "d_model": 12, "n_layer": 3, "n_heads": 4}


def config(vocab_size=50, n_positions=16, d_model=12, n_layer=3, n_heads=4, **more):
    return GPT2Config(vocab_size=vocab_size, n_positions=n_positions, n_embd=d_model, n_layer=n_layer, n_head=n_heads,
                      bos_token_id=0, eos_token_id=0, attn_implementation="eager", **more)


SHAPES = [{}, {"n_layer": 1, "n_heads": 1}, {"d_model": 20, "vocab_size": 7}, {"n_inner": 30}]


@pytest.mark.parametrize("changes", SHAPES, ids=str)
def test_parameters_are_those_of_the_model(changes):
    model = GPT2LMHeadModel(config(**changes))
    widget = ModelAnatomy(model)
    assert widget.whole()["parameters"] == model.num_parameters()
    block, body = model.transformer.h[0], model.transformer
    named = {
        "embed/token": body.wte, "embed/position": body.wpe, "blocks": body.h, "blocks/norm_1": block.ln_1,
        "blocks/attn": block.attn, "blocks/attn/qkv": block.attn.c_attn, "blocks/attn/out": block.attn.c_proj,
        "blocks/norm_2": block.ln_2, "blocks/mlp": block.mlp, "blocks/mlp/up": block.mlp.c_fc,
        "blocks/mlp/down": block.mlp.c_proj, "norm": body.ln_f,
    }  # fmt: skip
    for path, part in named.items():
        assert widget.part(path)["parameters"] == sum(p.numel() for p in part.parameters()), path


@pytest.mark.parametrize("changes", SHAPES, ids=str)
@pytest.mark.parametrize(("B", "T"), [(1, 1), (2, 16), (3, 7)])
def test_operations_are_those_that_torch_counts(changes, B, T):
    model = GPT2LMHeadModel(config(**changes)).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(B, T, dtype=torch.long))
    assert ModelAnatomy(model, B=B, T=T).whole()["flops"] == counter.get_total_flops()


@pytest.mark.parametrize(("B", "T"), [(1, 3), (2, 16)])
def test_shapes_and_bytes_are_those_of_the_outputs(B, T):
    model = GPT2LMHeadModel(config()).eval()
    body, block = model.transformer, model.transformer.h[1]
    modules = {
        "embed/token": body.wte, "blocks/norm_1": block.ln_1, "blocks/attn/qkv": block.attn.c_attn,
        "blocks/attn/out": block.attn.c_proj, "blocks/norm_2": block.ln_2, "blocks/mlp/up": block.mlp.c_fc,
        "blocks/mlp/gelu": block.mlp.act, "blocks/mlp/down": block.mlp.c_proj, "norm": body.ln_f, "head": model.lm_head,
    }  # fmt: skip
    seen = {}
    for path, module in modules.items():
        module.register_forward_hook(lambda _, __, out, path=path: seen.setdefault(path, out))
    with torch.inference_mode():
        weights = model(torch.zeros(B, T, dtype=torch.long), output_attentions=True).attentions[0]
    widget = ModelAnatomy(model, B=B, T=T)
    for path, out in {**seen, "blocks/attn/weights": weights, "blocks/attn/scores": weights}.items():
        assert widget.part(path)["shape"] == tuple(out.shape), path
        assert widget.part(path)["bytes"] == out.numel() * 4, path


def test_groups_are_the_sums_of_their_parts():
    widget = ModelAnatomy(TINY, B=2, T=5)
    paths = [row[0] for row in widget.rows]
    for key in ("parameters", "flops", "bytes"):
        for group in ("embed", "blocks/attn", "blocks/mlp"):
            inside = [p for p in paths if p.startswith(f"{group}/")]
            assert widget.part(group)[key] == sum(widget.part(p)[key] for p in inside)
        one = sum(widget.part(p)[key] for p in paths if p.startswith("blocks/") and p.count("/") == 1)
        assert widget.part("blocks")[key] == 3 * one
        top = sum(widget.part(p)[key] for p in paths if p and "/" not in p)
        assert widget.whole()[key] == top


def test_scores_grow_with_the_square_of_t():
    four, eight = ModelAnatomy(TINY, T=4), ModelAnatomy(TINY, T=8)
    ratio = lambda path, key: eight.part(path)[key] / four.part(path)[key]  # noqa: E731
    assert ratio("blocks/attn/scores", "flops") == ratio("blocks/attn/weights", "bytes") == 4
    assert ratio("blocks/mlp/up", "flops") == ratio("head", "bytes") == 2
    four.T = 8
    assert four.whole() == eight.whole()


def test_takes_models_configs_and_dicts():
    class Ours:
        vocab_size, n_positions, d_model, n_layer, n_heads = 50, 16, 12, 3, 4

    class Model:
        config = Ours

    whole = ModelAnatomy(TINY, T=9).whole()
    for source in (config(), GPT2LMHeadModel(config()), Ours, Ours(), Model(), config().to_dict()):
        assert ModelAnatomy(source, T=9).whole() == whole
    small = ModelAnatomy(GPT2Config(), T=1024)
    assert small.whole()["parameters"] == 124_439_808 and small.part("head")["shape"] == (1, 1024, 50257)


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ({}, {}, "vocab_size is None in the dict"),
        ("gpt2", {}, "needs a GPT-2, its config or a dict"),
        (TINY | {"n_heads": 5}, {}, "12 can't be shared out among 5 heads"),
        (TINY | {"d_model": 12.0}, {}, "d_model is 12.0"),
        (TINY, {"T": 17}, "T 1 to 16"),
        (TINY, {"B": 0, "T": 4}, "received 0 and 4"),
    ],
)
def test_wrong_input_says_what_to_do(model, arguments, message):
    with pytest.raises(DataError, match=message):
        ModelAnatomy(model, **arguments)


def test_unknown_part_names_those_there_are():
    with pytest.raises(DataError, match="blocks/attn/qkv"):
        ModelAnatomy(TINY, T=4).part("attn")


def test_default_t_fits_a_short_model():
    assert ModelAnatomy(TINY).T == 16


def test_text_and_picture_are_of_the_start():
    widget = ModelAnatomy(GPT2Config(), B=1, T=1024)
    text, svg = repr(widget), widget.static_svg()
    assert text == (
        "ModelAnatomy of a GPT-2 with 12 blocks, d_model 768, 12 heads, 50,257 tokens: 124,439,808 parameters; "
        "at B = 1, T = 1024: 292 G operations and 2.11 GB of outputs"
    )
    widget.B, widget.T, widget.unfolded = 3, 20, []
    assert repr(widget) == text and widget.static_svg() == svg
    ET.fromstring(svg)
    assert widget.static_png().startswith(b"\x89PNG")


def test_output_is_small():
    data, metadata = ModelAnatomy(GPT2Config())._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "image/png", "text/plain"}
    state = ModelAnatomy(GPT2Config()).get_state()
    assert len(json.dumps(data)) < 150_000 and len(json.dumps(state)) < 60_000
    assert "innerHTML" not in state["_esm"]


def test_counts_are_short():
    assert [short(n) for n in (0, 7, 999.9, 1e3, 12_345, 999_999, 1.746e11, 7.35e14)] == [
        "0", "7", "1.00 k", "1.00 k", "12.3 k", "1.00 M", "175 G", "735 T"
    ]
