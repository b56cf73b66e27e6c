"""Load a GPT-2: the pocket checkpoint, a folder, or a model from the Hugging Face hub.

Only safetensors are read. What is asked for is loaded or refused; nothing else takes its place.
"""

from __future__ import annotations

import json
import math
import os
import re
from contextlib import contextmanager
from pathlib import Path

from bigmodel_nb import memory
from bigmodel_nb.errors import ModelError, ResourceError

POCKET = Path(__file__).parent / "pocket"
ON_THE_HUB = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
BODY = re.compile(r"(transformer\.)?(h\.\d+|wte|wpe|ln_f)\.")  # other heads may be stored too
SAMPLE = "Wolf  &\tcat,\n don't — naïve 狐 🦊 .\n\n"
OTHERS = "load_gpt2() loads the pocket model, load_gpt2('gpt2') the one on the hub."


def load_gpt2(name: str | Path | None = None):
    """Load a GPT-2 and its tokenizer: (GPT2LMHeadModel in float32 and eval mode, GPT2TokenizerFast).

    `name` is "pocket" (the checkpoint that comes with the course), a folder, or a model on the hub
    such as "gpt2", "distilgpt2" or "user/model"; without it $BIGMODEL_NB_MODEL, else "pocket".
    The five names that GPT-2 has on the hub always mean the hub; write "./gpt2" for a folder.
    Neither the pocket model nor a folder touches the network.
    Errors: ModelError for a model that can't be found, read or trusted; ResourceError for too
    little disk or memory.

    >>> model, tokenizer = load_gpt2("pocket")
    >>> model.config.n_layer, model.dtype, tokenizer.decode(tokenizer("a fox")["input_ids"])
    (6, torch.float32, 'a fox')
    """
    if name is None:
        name = os.environ.get("BIGMODEL_NB_MODEL") or "pocket"
    folder = _folder(name)
    shown = f"load_gpt2({str(name)!r})"
    _check_config(folder, shown)
    _check_tokenizer_files(folder, shown)
    _check_memory(_weight_shapes(folder, shown), shown)
    with _quiet():
        tokenizer = _tokenizer(folder, shown)
        model = _model(folder, shown)
    _check_vocabulary(tokenizer, model.config, shown)
    return model, tokenizer


def _folder(name: str | Path) -> Path:
    """The folder that `name` stands for, fetched from the hub where it names a model there."""
    if not isinstance(name, (str, Path)) or not str(name).strip():
        raise ModelError(f"load_gpt2 takes a name or a folder, got {name!r}. Next: {OTHERS}")
    if name == "pocket":
        return POCKET
    folder = Path(name).expanduser()
    if isinstance(name, str) and name in ON_THE_HUB:
        pass
    elif folder.is_dir():
        return folder
    elif folder.is_file():
        raise ModelError(f"load_gpt2({str(name)!r}): this is a file. Next: name the folder that holds it.")
    elif isinstance(name, Path) or _looks_like_a_path(name):
        raise ModelError(
            f"load_gpt2({str(name)!r}): there is no such folder. Next: check the path from {Path.cwd()}; {OTHERS}"
        )
    from bigmodel_nb.gpt2.hub import download

    return download(name)


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "~")) or "\\" in name or name.count("/") > 1 or Path(name).is_absolute()


def _contents(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return "nothing" if not names else ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _read_json(file: Path, shown: str) -> dict:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _damaged(file, error, shown) from error
    if not isinstance(content, dict):
        raise _damaged(file, "not a JSON object", shown)
    return content


def _damaged(file: Path, reason, shown: str) -> ModelError:
    with file.open("rb") as opened:
        pointer = opened.read(40).startswith(b"version https://git-lfs")
    if pointer:
        return ModelError(
            f"{shown}: {file.name} is only git-lfs' pointer to the file. Next: run `git lfs pull` in that folder."
        )
    return ModelError(
        f"{shown}: {file.name} is damaged ({reason}). Next: copy or save the model again; {OTHERS}"
    )


def _check_config(folder: Path, shown: str) -> None:
    file = folder / "config.json"
    if not file.is_file():
        raise ModelError(
            f"{shown}: no model there: config.json is missing, the folder holds {_contents(folder)}. "
            f"Next: name a folder written by model.save_pretrained(folder); {OTHERS}"
        )
    kind = _read_json(file, shown).get("model_type")
    if kind != "gpt2":
        raise ModelError(
            f"{shown}: a model of type {kind!r}; this course loads GPT-2 models only. "
            f"Next: choose one whose config.json says \"model_type\": \"gpt2\"; {OTHERS}"
        )


def _check_tokenizer_files(folder: Path, shown: str) -> None:
    names = {path.name for path in folder.iterdir()}
    if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
        raise ModelError(
            f"{shown}: the tokenizer is missing (tokenizer.json, or vocab.json with merges.txt). "
            "Next: save the one the model was trained with into the same folder, tokenizer.save_pretrained(folder)."
        )


def _weight_files(folder: Path, shown: str) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        shards = sorted({folder / name for name in _read_json(index, shown).get("weight_map", {}).values()})
        missing = [shard.name for shard in shards if not shard.is_file()]
        if shards and not missing:
            return shards
        raise ModelError(f"{shown}: incomplete, {missing} are missing. Next: copy or download the model again.")
    raise ModelError(_no_weights(folder, shown))


def _no_weights(folder: Path, shown: str) -> str:
    pickles = [path.name for path in folder.iterdir() if path.suffix in PICKLES]
    if pickles:
        return (
            f"{shown}: the weights are only there as a pickle ({', '.join(sorted(pickles))}), which can run any "
            "code when it is opened, so it is refused. Next: if you trust its source, open it elsewhere and write "
            f"safetensors with model.save_pretrained(folder); {OTHERS}"
        )
    return (
        f"{shown}: model.safetensors, the only kind of weights that is read, is missing; the folder holds "
        f"{_contents(folder)}. Next: save the model with model.save_pretrained(folder), or choose a model with "
        f"safetensors; {OTHERS}"
    )


def _weight_shapes(folder: Path, shown: str) -> list[list[int]]:
    """Shapes of all stored tensors, read from the headers, which also shows truncated files."""
    from safetensors import SafetensorError, safe_open

    shapes = []
    for file in _weight_files(folder, shown):
        try:
            with safe_open(file, framework="pt") as opened:
                shapes += [opened.get_slice(key).get_shape() for key in opened.keys()]
        except (SafetensorError, OSError, ValueError) as error:
            raise _damaged(file, error, shown) from error
    return shapes


def _check_memory(shapes: list[list[int]], shown: str) -> None:
    needed, free = 4 * sum(math.prod(shape) for shape in shapes), memory.available()
    if needed > free:
        raise ResourceError(
            f"{shown}: the weights take {needed / 1e9:.1f} GB in float32, {free / 1e9:.1f} GB of memory are free. "
            "Next: shut down other notebooks' kernels, or load a smaller model; load_gpt2() loads the pocket model."
        )


@contextmanager
def _quiet():
    """Keep transformers from printing reports and progress bars."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _tokenizer(folder: Path, shown: str):
    from transformers import GPT2TokenizerFast

    try:
        tokenizer = GPT2TokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise ModelError(
            f"{shown}: the tokenizer can't be read ({reason}). "
            "Next: save it again with tokenizer.save_pretrained(folder)."
        ) from error
    back = tokenizer.decode(tokenizer(SAMPLE)["input_ids"])
    if back != SAMPLE:
        raise ModelError(
            f"{shown}: the tokenizer does not give text back: {SAMPLE!r} becomes {back!r}, so it is not GPT-2's "
            f"byte-level BPE, or damaged. Next: save the right one with tokenizer.save_pretrained(folder); {OTHERS}"
        )
    return tokenizer


def _model(folder: Path, shown: str):
    import torch
    from transformers import GPT2LMHeadModel

    try:
        model, info = GPT2LMHeadModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True,
            output_loading_info=True, ignore_mismatched_sizes=True,
        )
    except Exception as error:
        if memory.is_out_of_memory(error):
            raise ResourceError(f"{shown}: out of memory. Next: load a smaller model; {OTHERS}") from error
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise ModelError(f"{shown}: the model can't be built ({reason}). Next: check its config.json; {OTHERS}") from error
    _check_weights(model, info, shown)
    return model.eval()


def _check_weights(model, info: dict, shown: str) -> None:
    """Refuse weights that are missing, of another shape, or not numbers."""
    problems = [f"{key} is missing" for key in sorted(info["missing_keys"])]
    problems += [
        f"{key} has shape {tuple(stored)}, config.json asks for {tuple(wanted)}"
        for key, stored, wanted in sorted(info["mismatched_keys"])
    ]
    problems += [f"{key} has no place" for key in sorted(info["unexpected_keys"]) if BODY.match(key)]
    sums = {key: p.detach().sum() for key, p in model.named_parameters()}  # finite only if every entry is
    problems += [f"{key} holds NaN or infinity" for key, total in sums.items() if not total.isfinite()]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ModelError(
            f"{shown}: the weights do not fit the model: {'; '.join(problems[:3])}{more}. "
            f"Next: copy or save the model again; {OTHERS}"
        )


def _check_vocabulary(tokenizer, config, shown: str) -> None:
    largest = max(tokenizer.get_vocab().values())
    if largest >= config.vocab_size:
        raise ModelError(
            f"{shown}: the tokenizer has token {largest}, the model only {config.vocab_size} tokens, so they do not "
            "belong together. Next: save the tokenizer that the model was trained with into its folder, or enlarge "
            "the model with model.resize_token_embeddings(len(tokenizer))."
        )
