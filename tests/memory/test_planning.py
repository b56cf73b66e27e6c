"""The memory plan against torch itself: parameters, kept tensors, live bytes, and fresh processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from bigmodel_nb.errors import DataError
from bigmodel_nb.gpt2 import finetune, lean
from bigmodel_nb.gpt2.evaluate import logits_of
from bigmodel_nb.memory import SHAPES, check, plan
from bigmodel_nb.memory.planning import PARTS, TARGETS

MB = 10**6
TINY = {"vocab_size": 600, "n_positions": 64, "n_embd": 48, "n_layer": 3, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}


def make_config(dropout=0.0, **changes):
    from transformers import GPT2Config

    return GPT2Config(**TINY | dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout) | changes)


class Adapted(nn.Module):
    """A frozen layer beside a low-rank change of it, as in lesson 14."""

    def __init__(self, layer, rank):
        super().__init__()
        n_in, n_out = layer.weight.shape
        self.layer = layer.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(n_in, rank))
        self.B = nn.Parameter(torch.zeros(rank, n_out))

    def forward(self, x):
        return self.layer(x) + (x @ self.A) @ self.B


def make_model(config, rank=0, targets=TARGETS, checkpointing=False):
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel(config).train()
    if checkpointing:
        model.activation_checkpointing_enable()
    if rank:
        model.requires_grad_(False)
        for block in model.transformer.h:
            for part in (block.attn, block.mlp):
                for name in set(targets) & {name for name, _ in part.named_children()}:
                    setattr(part, name, Adapted(getattr(part, name), rank))
    return model


# Parameters


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_of_each_shape_equal_those_of_transformers(shape):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(**SHAPES[shape], bos_token_id=0, eos_token_id=0)
    with torch.device("meta"):
        numbers = sum(p.numel() for p in GPT2LMHeadModel(config).parameters())
    by_name, by_config = plan(shape, 1, 64), plan(config, 1, 64)
    assert by_name.parts["parameters"] == 4 * numbers
    assert by_name == by_config
    assert plan(shape, 1, 64).moments["optimiser step"]["optimiser state"] == 8 * numbers


def test_the_pocket_shape_is_that_of_the_checkpoint():
    from transformers import GPT2Config

    from bigmodel_nb.gpt2.load import POCKET

    assert plan(GPT2Config.from_pretrained(POCKET), 4, 128) == plan("pocket", 4, 128)


@pytest.mark.parametrize("targets", [TARGETS, ("c_attn",), "c_proj", ("c_attn", "c_fc")])
def test_parameters_of_adapters(targets):
    config = make_config()
    model = make_model(config, 4, (targets,) if isinstance(targets, str) else targets)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    step = plan(config, 2, 16, lora_rank=4, lora_targets=targets).moments["optimiser step"]
    assert step["gradients"] == 4 * trained and step["optimiser state"] == 8 * trained
    assert step["parameters"] == 4 * sum(p.numel() for p in model.parameters())


# What the forward pass keeps


def rows(B, T, border=True):
    x = torch.randint(1, 99, (B, T + 1), generator=torch.Generator().manual_seed(0))
    if border:
        x[0, 5] = 0  # a document ends inside a row, as in nearly every packed batch
    return x[:, :-1].clone(), x[:, 1:].clone()


def bytes_kept(model, B, T, dtype, border=True):
    """Bytes of all tensors that autograd keeps in one forward pass, parameters aside."""
    x, y = rows(B, T, border)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = tensor, storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        positions, mask = lean.document_mask(x, 0)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = logits_of(model, x, positions, mask)
        loss = F.cross_entropy(logits.float().flatten(0, 1), y.flatten(), reduction="sum")
    return sum(size for _, size in kept.values()) - 4, loss  # 4: the number of labels, for the mean


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("B, T, changes", [(2, 16, {}), (3, 40, {"n_inner": 80}), (2, 64, {"n_layer": 2, "n_head": 6})])
def test_kept_tensors_equal_the_plans_terms(precision, dropout, B, T, changes):
    config = make_config(dropout, **changes)
    kept, _ = bytes_kept(make_model(config), B, T, getattr(torch, precision))
    terms = plan(config, B, T, precision=precision).kept
    assert sum(terms.values()) == kept
    assert ("attention weights, mask, and weights after dropout" in terms) == bool(dropout)


def test_a_row_without_a_border_needs_no_mask():
    config = make_config()
    kept, _ = bytes_kept(make_model(config), 2, 16, torch.float32, border=False)
    terms = plan(config, 2, 16).kept
    assert sum(terms.values()) - terms["mask between documents"] == kept


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("targets", [TARGETS, ("c_attn",), ("c_attn", "c_fc")])
def test_kept_tensors_of_adapters(dropout, precision, targets):
    config = make_config(dropout)
    kept, _ = bytes_kept(make_model(config, 4, targets), 2, 32, getattr(torch, precision))
    planned = sum(plan(config, 2, 32, lora_rank=4, lora_targets=targets, precision=precision).kept.values())
    assert planned == pytest.approx(kept, rel=0.02)


def test_checkpointing_keeps_the_inputs_of_the_blocks():
    config = make_config()
    kept, _ = bytes_kept(make_model(config, checkpointing=True), 2, 32, torch.float32)
    terms = plan(config, 2, 32, checkpointing=True).kept
    assert "input of gelu" not in terms and sum(terms.values()) < sum(plan(config, 2, 32).kept.values()) / 2
    assert sum(terms.values()) == pytest.approx(kept, rel=0.03)


# Live bytes of whole steps


def live_bytes(model, B, T, micro_batch, precision, optimizer):
    """Highest number of bytes in tensors, from building the model to the end of a second step."""
    x, y = rows(B, T)
    trained = [p for p in model.parameters() if p.requires_grad]
    stepper = torch.optim.AdamW(trained, fused=True) if optimizer == "adamw" else torch.optim.SGD(trained, 0.1)
    settings = finetune.Settings(2, B, T, 1e-3, precision, 0, B, "")
    run = finetune.Run(model, x, y, 0, settings, stepper, torch.device("cpu"), micro_batch=micro_batch)
    base = sum(p.numel() * p.element_size() for p in model.parameters())
    run.take_step(trained, 1e-3)
    state = sum(v.numel() * 4 for s in stepper.state.values() for v in s.values() if v.dim())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        with record_function("step"):
            run.take_step(trained, 1e-3)
    changes = sorted((e.start_ns(), e.nbytes()) for e in trace.profiler.kineto_results.events() if e.name() == "[memory]")
    live, highest = 0, 0
    for _, change in changes:
        live += change
        highest = max(highest, live)
    return base + state + highest


CASES = {
    "plain": {},
    "small batch": {"B": 1, "T": 16},
    "dropout": {"dropout": 0.1},
    "accumulation": {"micro_batch": 2},
    "accumulation, small": {"micro_batch": 1, "T": 16, "B": 4},
    "sgd": {"optimizer": "sgd"},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, small batch": {"precision": "bfloat16", "B": 1, "T": 16},
    "checkpointing": {"checkpointing": True},
    "checkpointing, small vocabulary": {"checkpointing": True, "vocab_size": 100},
    "adapters": {"rank": 4},
    "adapters, checkpointing": {"rank": 4, "checkpointing": True, "vocab_size": 100},
}


@pytest.mark.parametrize("case", CASES)
def test_live_bytes_of_a_step(case):
    given = {"B": 8, "T": 64, "dropout": 0.0, "rank": 0, "micro_batch": None, "precision": "float32",
             "optimizer": "adamw", "checkpointing": False, **CASES[case]}
    shape = {name: given.pop(name) for name in list(given) if name in TINY}
    B, T, rank, checkpointing = (given.pop(name) for name in ("B", "T", "rank", "checkpointing"))
    config = make_config(given.pop("dropout"), n_layer=4, **{"vocab_size": 2000, **shape})
    micro = given.pop("micro_batch") or B
    live = live_bytes(make_model(config, rank, checkpointing=checkpointing), B, T, micro, **given)
    made = plan(config, B, T, lora_rank=rank, checkpointing=checkpointing, micro_batch=micro, **given)
    steps = [sum(parts.values()) - parts["framework overhead"] for name, parts in made.moments.items() if name != "model built"]
    assert max(steps) == pytest.approx(live, rel=0.04)


# Fresh processes


@pytest.fixture(scope="module")
def peak():
    """`peak(shape, mode)` -> bytes above the level before the model is built, median of 3 fresh processes."""
    found = {}

    def measured(shape, mode):
        if (shape, mode) not in found:
            found[shape, mode] = check.measured(shape, mode, *check.CASES[shape][mode], repeat=3)
        return found[shape, mode]

    return measured


def apart(planned, measured):
    return abs(planned / measured - 1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
@pytest.mark.parametrize("mode", check.MODES)
@pytest.mark.parametrize("shape", check.CASES)
def test_plan_is_within_15_percent_of_fresh_processes(shape, mode, peak, say):
    made = check.planned(shape, mode, *check.CASES[shape][mode])
    say(f"memory of {shape}, {mode}: {made.total / MB:,.1f} MB planned, {peak(shape, mode) / MB:,.1f} MB measured")
    assert apart(made.total, peak(shape, mode)) < 0.15
    overhead = made.parts["framework overhead"]
    if made.moment == "model built":
        overhead -= 4 * 50257 * 768  # transformers' second head
    assert overhead <= 36 * MB + 0.1 * made.total


def without(made, *names):
    """The highest moment when some parts are forgotten."""
    return max(sum(size for name, size in parts.items() if name not in names) for parts in made.moments.values())


WRONG = {  # what a hasty plan takes for the whole
    ("pocket", "training"): {
        "16 bytes a parameter": lambda made: 4 * made.parts["parameters"],
        "no activations": lambda made: without(made, "activations"),
        "no logits": lambda made: made.total - 3 * made.kept["log-probabilities"],
        "half the batch": lambda made: plan("pocket", 8, 128).total,
        "weights of attention kept": lambda made: made.total + 6 * 3 * 16 * 8 * 128 * 128 * 4,
    },
    ("pocket", "inference"): {
        "no cache": lambda made: without(made, "KV cache"),
        "only parameters": lambda made: made.parts["parameters"],
        "no overhead": lambda made: without(made, "framework overhead"),
        "one row": lambda made: plan("pocket", 1, 4, training=False, new_tokens=100).total,
    },
    ("gpt2", "training"): {
        "8 bytes a parameter": lambda made: 2 * made.parts["parameters"],
        "16 bytes a parameter": lambda made: 4 * made.parts["parameters"],
        "no optimiser state": lambda made: without(made, "optimiser state"),
        "no gradients": lambda made: made.total - made.parts["gradients"],
        "mixed precision": lambda made: made.total - made.parts["parameters"] // 2 - made.parts["gradients"] // 2,
    },
    ("gpt2", "inference"): {
        "only parameters": lambda made: made.parts["parameters"],
        "16 bits": lambda made: plan("gpt2", 2, 4, training=False, new_tokens=100, precision="float16").total,
    },
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
@pytest.mark.parametrize("case", [(*where, name) for where, plans in WRONG.items() for name in plans], ids=", ".join)
def test_a_wrong_plan_falls_outside_the_15_percent(case, peak):
    shape, mode, name = case
    wrong = WRONG[shape, mode][name](check.planned(shape, mode, *check.CASES[shape][mode]))
    assert apart(wrong, peak(shape, mode)) > 0.15


@pytest.mark.slow
def test_a_run_that_fails_in_the_fresh_process_is_not_taken_for_a_measurement():
    with pytest.raises(subprocess.CalledProcessError):
        check.measured("pocket", "training", 4, 9999, repeat=1)


# The plan itself


def test_parts_have_fixed_names_and_sum_to_the_total():
    for made in (plan("gpt2", 8, 1024), plan("gpt2", 1, 1, training=False), plan("gpt2-xl", 1, 8, lora_rank=8, device="cuda")):
        assert tuple(made.parts) == PARTS and sum(made.parts.values()) == made.total
        assert all(isinstance(part, int) and part >= 0 for part in made.parts.values())
        assert made.total == max(sum(parts.values()) for parts in made.moments.values())
        assert made.fits(made.total) and not made.fits(made.total - 1)


def test_cache_of_gpt2_small():
    def cache(**given):
        return plan("gpt2", 3, 10, training=False, **given).moments["token drawn"]["KV cache"]

    assert cache(new_tokens=90) == 2 * 12 * 3 * 100 * 768 * 4
    assert cache(new_tokens=90, precision="bfloat16") == 12 * 3 * 100 * 768 * 4
    assert cache(new_tokens=5000) == 2 * 12 * 3 * 1024 * 768 * 4  # no longer than the context
    assert plan("gpt2", 3, 10, training=False).moments["one pass"]["KV cache"] == 0


LEVERS = {  # what it changes, and what it changes it from
    "smaller batch": ({"batch_size": 4}, {}),
    "shorter block": ({"block_size": 512}, {}),
    "accumulation": ({"micro_batch": 1}, {}),
    "checkpointing": ({"checkpointing": True}, {}),
    "mixed precision": ({"precision": "bfloat16"}, {}),
    "smaller model": ({"config": "distilgpt2"}, {}),
    "adapters": ({"lora_rank": 8}, {"block_size": 128, "batch_size": 2}),
    "plain descent": ({"optimizer": "sgd"}, {"block_size": 128, "batch_size": 2}),
}


@pytest.mark.parametrize("lever", LEVERS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_each_lever_saves_memory(lever, device):
    change, given = LEVERS[lever]
    usual = {"config": "gpt2", "batch_size": 8, "block_size": 1024, "device": device, **given}
    assert plan(**usual | change).total < 0.95 * plan(**usual).total


def test_adapters_do_not_save_activations():
    """They need the gradient through every layer; with a large batch they save little."""
    full, adapters = plan("gpt2", 8, 1024), plan("gpt2", 8, 1024, lora_rank=8)
    assert adapters.total > 0.9 * full.total
    assert adapters.moments["optimiser step"]["optimiser state"] < 0.01 * full.parts["optimiser state"]


@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda", 1), "mps", "xpu"])
def test_a_gpu_keeps_no_attention_weights_and_has_a_context(device):
    made, on_cpu = plan("gpt2", 8, 1024, device=device), plan("gpt2", 8, 1024)
    assert "attention weights, mask, and weights after dropout" in on_cpu.kept
    assert "log-sums of the softmax" in made.kept
    assert made.kept["dropout masks"] * 4 == on_cpu.kept["dropout masks"]
    assert made.parts["framework overhead"] == 508_519_680


def test_mixed_precision_keeps_float32_state_and_16_bit_activations():
    full, mixed = plan("gpt2", 8, 1024), plan("gpt2", 8, 1024, precision="float16")
    assert mixed == plan("gpt2", 8, 1024, precision="bfloat16")
    for part in ("parameters", "optimiser state"):
        assert full.parts[part] == mixed.parts[part]
    assert mixed.kept["input of gelu"] * 2 == full.kept["input of gelu"]
    assert mixed.kept["inputs of the layer norms"] == full.kept["inputs of the layer norms"]


def test_text_forms():
    made = plan("pocket", 16, 128)
    assert repr(made) == "Plan(443 MB, highest at the moment 'gradient of the loss')"
    lines = str(made).splitlines()
    assert lines[0] == "MB at the moment 'gradient of the loss'" and lines[1].split() == ["parameters", "23.4"]
    assert lines[-1].split() == ["total", f"{made.total / MB:,.1f}"] and len(lines) == 8
    html = made._repr_html_()
    assert all(name in html for name in PARTS) and html.count("<tr>") == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"config": "gpt3"}, "config must be one of pocket, .*gpt2-xl; received 'gpt3'"),
        ({"config": object()}, "config must be a GPT2Config or one of"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1; received 0"),
        ({"batch_size": 2.0}, "batch_size must be a whole number"),
        ({"block_size": 1025}, "block_size .* at most 1024; received 1025"),
        ({"micro_batch": 9}, "micro_batch .* at most 8"),
        ({"precision": "int8"}, "precision must be one of float32, bfloat16, float16"),
        ({"optimizer": "adam"}, "optimizer must be one of adamw, sgd, none"),
        ({"lora_rank": -1}, "lora_rank must be"),
        ({"lora_rank": 4, "lora_targets": ("q",)}, "lora_targets must be one of c_attn"),
        ({"new_tokens": 5}, "training=False"),
        ({"device": "tpu"}, "device must be one of cpu, cuda"),
    ],
)
def test_arguments_that_can_not_work_are_named(given, message):
    with pytest.raises(DataError, match=message):
        plan(**{"config": "gpt2", "batch_size": 8, "block_size": 128, **given})


def test_planning_imports_no_torch():
    code = "import sys; from bigmodel_nb import memory; memory.plan('gpt2-xl', 1, 1024); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
