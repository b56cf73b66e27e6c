"""The plan against the truth: `python -m bigmodel_nb.memory.check pocket training` in a process of its own.

What is imported, cached or freed before a measurement changes it, so each one gets a fresh process:
torch and transformers are imported first, then building the model and running it are measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys

from bigmodel_nb.memory import SHAPES, Plan, measure, plan

MODES = ("training", "inference")
STEPS, PROMPT, NEW_TOKENS = 2, "Once upon a time", 100
CASES = {  # (rows, tokens a row) of training; rows of inference
    "pocket": {"training": (16, 128), "inference": (16, 4)},
    "gpt2": {"training": (2, 128), "inference": (2, 4)},
}


def planned(shape: str, mode: str, batch_size: int, block_size: int) -> Plan:
    """The plan for what `measured` runs."""
    if mode == "training":
        return plan(shape, batch_size, block_size)
    return plan(shape, batch_size, block_size, training=False, new_tokens=NEW_TOKENS)


def measured(shape: str, mode: str, batch_size: int, block_size: int, repeat: int = 3) -> int:
    """Peak of memory above the level just before the model is built, in bytes: median of fresh processes."""
    command = [sys.executable, "-m", __name__, shape, mode, str(batch_size), str(block_size)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(repeat)]
    return statistics.median_low(json.loads(run.splitlines()[-1])["peak_bytes"] for run in runs)


def run_here(shape: str, mode: str, batch_size: int, block_size: int) -> int:
    """Build the model and run it in this process -> the peak in bytes above the level before."""
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    import bigmodel_nb as bn
    from bigmodel_nb.gpt2.finetune import finetune
    from bigmodel_nb.gpt2.generate import generate
    from bigmodel_nb.gpt2.load import POCKET

    config = GPT2Config(**SHAPES[shape], bos_token_id=0, eos_token_id=0)
    tokenizer = GPT2TokenizerFast.from_pretrained(POCKET)  # its ids are in every shape's vocabulary
    text = bn.datasets.tales("unseen")[:20_000]

    def work():
        model = GPT2LMHeadModel(config).eval()
        if mode == "training":
            finetune(model, tokenizer, text, steps=STEPS, batch_size=batch_size, block_size=block_size,
                     precision="float32")
        else:
            generate(model, tokenizer, [PROMPT] * batch_size, NEW_TOKENS, seed=0)

    return measure(work).peak_bytes


def main(argv: list[str] | None = None) -> int:
    """Print the peak of one run, and what was planned, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("batch_size", type=int, nargs="?")
    parser.add_argument("block_size", type=int, nargs="?")
    given = parser.parse_args(argv)
    rows, tokens = CASES.get(given.shape, CASES["gpt2"])[given.mode]
    case = given.shape, given.mode, given.batch_size or rows, given.block_size or tokens
    with contextlib.redirect_stdout(sys.stderr):
        peak = run_here(*case)
    total = planned(*case).total
    print(json.dumps({"peak_bytes": peak, "planned": total, "ratio": round(total / peak, 3)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
