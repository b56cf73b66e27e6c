"""`python -m bigmodel_nb.gpt2.finetune`: `bn.finetune` from a command line, in one process or several.

One process:     python -m bigmodel_nb.gpt2.finetune --texts FILE
Two processes:   torchrun --nproc_per_node 2 -m bigmodel_nb.gpt2.finetune --texts FILE
From a notebook: notebook_launcher(command.main, (["--texts", FILE],), num_processes=2)

Exit codes: 0 all well, 1 something failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys

from bigmodel_nb.errors import CourseError
from bigmodel_nb.gpt2 import processes

ONE_PROCESS = (
    "this is a single process: accelerate starts several on CPUs with --multi_gpu in place of --cpu "
    "(or without accelerate: torchrun --nproc_per_node 2 -m bigmodel_nb.gpt2.finetune ...)."
)


def main(argv: list[str] | None = None) -> int:
    """Fine-tune as the arguments say; the main process alone prints, and returns 1 for an error."""
    team = processes.here()
    with contextlib.ExitStack() as stack:
        if not team.main:
            nothing = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nothing))
            stack.enter_context(contextlib.redirect_stderr(nothing))
        arguments = parser().parse_args(argv)
        if processes.asked_in_vain():
            complain(ONE_PROCESS)
        code = 0
        try:
            run(team, arguments)
        except CourseError as error:
            complain(error)
            if team.count > 1 and not multiprocessing.parent_process():
                complain("the launcher's own report below adds only that this process failed.")
            code = int(team.main)  # a launcher reports each process that fails: one is enough
        team.end()
    return code


def complain(message: object) -> None:
    """Print a message to the learner, apart from the results."""
    print(f"finetune: {message}", file=sys.stderr, flush=True)


def run(team, arguments: argparse.Namespace) -> None:
    """Load, train, and print the result."""
    import bigmodel_nb as bn

    bn.setup(arguments.seed)
    texts = team.each(lambda: bn.datasets.own_text(arguments.texts))
    held_out = arguments.held_out and team.each(lambda: bn.datasets.own_text(arguments.held_out))
    model, tokenizer = team.each(lambda: bn.load_gpt2(arguments.model))
    names = ("steps", "max_seconds", "batch_size", "block_size", "lr", "precision", "checkpoint_dir", "resume", "seed")
    result = bn.finetune(model, tokenizer, texts, held_out, **{name: getattr(arguments, name) for name in names})
    shared = f" in {team.count} processes" if team.count > 1 else ""
    print(f"{result}, {result.tokens_per_second:,.0f} tokens/s{shared}")
    if result.checkpoint is None:
        print("The model was not saved; --checkpoint-dir names a folder for it.")
    else:
        print(f"Saved: {result.checkpoint}")


def parser() -> argparse.ArgumentParser:
    """The arguments, named as those of `bn.finetune`."""
    it = argparse.ArgumentParser(
        prog="finetune",
        usage="python -m bigmodel_nb.gpt2.finetune --texts FILE_OR_FOLDER [options]",
        description="Fine-tune a GPT-2, in as many processes as accelerate or torchrun start.",
    )
    it.add_argument("--texts", required=True, metavar="FILE_OR_FOLDER", help="a plain text (.txt, .md), or a folder of them")
    it.add_argument("--held-out", metavar="FILE_OR_FOLDER", help="texts whose perplexity is measured before and after")
    it.add_argument("--model", help="pocket, gpt2, distilgpt2, a hub id or a folder (default: $BIGMODEL_NB_MODEL, else pocket)")
    it.add_argument("--steps", type=int, default=200, help="steps of the optimiser (default: %(default)s)")
    it.add_argument("--max-seconds", type=float, help="end the training early")
    it.add_argument("--batch-size", type=whole_or_auto, default="auto", help="rows a step, over all processes (default: 16)")
    it.add_argument("--block-size", type=int, help="tokens a row (default: 128)")
    it.add_argument("--lr", type=float, help="highest learning rate (default: by the model's size)")
    it.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    it.add_argument("--checkpoint-dir", metavar="DIR", help="folder for about ten checkpoints, of which two stay")
    it.add_argument("--resume", action="store_true", help="go on from the newest checkpoint, in any number of processes")
    it.add_argument("--seed", type=int, default=0, help="order of the rows and dropout (default: %(default)s)")
    return it


def whole_or_auto(text: str) -> int | str:
    """A number of rows, or "auto"."""
    if text != "auto" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number or auto, not {text!r}")
    return text if text == "auto" else int(text)
