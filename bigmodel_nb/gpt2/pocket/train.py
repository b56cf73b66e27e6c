"""Train the pocket checkpoint: tokenizer and GPT-2 model, from scratch, on public-domain tales.

    python -m bigmodel_nb.gpt2.pocket.train --text FOLDER --heldout FILE --minutes 80 --out DIR

FOLDER holds UTF-8 files with a line `<|endoftext|>` after each story. The run writes its state to
DIR/state every few minutes and goes on from there when it is started again; the tokenizer is
trained once and then kept. Nothing from the held-out file is trained on: it is read after the
last step, to measure bits per byte.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from bigmodel_nb.device import bfloat16_is_faster
from bigmodel_nb.gpt2 import lean

EOS = "<|endoftext|>"
VOCAB_SIZE, CONTEXT, LAYERS, WIDTH, HEADS = 4096, 256, 6, 256, 8
BATCH = 16
LR_MUON, LR_ADAMW = 0.02, 3e-3
SAVE_EVERY = 60.0  # seconds
ROUNDING_STEPS = 80


def stories(path: Path) -> list[str]:
    """The stories of a file whose stories end with a line `<|endoftext|>`."""
    parts = path.read_text(encoding="utf-8").split(EOS)
    return [part.strip() for part in parts if part.strip()]


def train_tokenizer(texts: list[str], folder: Path) -> None:
    """Byte-level BPE as in GPT-2, saved in the form that `from_pretrained(folder)` reads."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2TokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, VOCAB_SIZE, special_tokens=[EOS], show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    bpe.save_model(str(folder))  # vocab.json, merges.txt
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    tokenizer = GPT2TokenizerFast(
        vocab=vocab, merges=[tuple(line.split(" ")) for line in merges],
        bos_token=EOS, eos_token=EOS, unk_token=EOS, model_max_length=CONTEXT,
    )
    tokenizer.save_pretrained(folder)


class Muon(torch.optim.Optimizer):
    """Muon with a float32 Newton-Schulz iteration over stacked matrices.

    `torch.optim.Muon` orthogonalises one matrix at a time and in bfloat16, which on a CPU
    without bfloat16 units takes half as long as the forward and backward pass together. Here
    matrices of one shape go through the iteration together, and a query-key-value matrix is
    split in three. Weights are (n_in, n_out). Source: Jordan et al. (2024).
    """

    def __init__(self, params, lr=0.02, momentum=0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape: dict[tuple, list] = {}
            for p in group["params"]:
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                velocity.lerp_(p.grad, 1 - group["momentum"])
                direction = p.grad.lerp(velocity, group["momentum"])  # Nesterov
                n_in, n_out = p.shape
                pieces = 3 if n_out == 3 * n_in else 1
                for d, w in zip(direction.chunk(pieces, 1), p.chunk(pieces, 1)):
                    by_shape.setdefault(tuple(d.shape), []).append((d, w))
            for (n_in, n_out), pairs in by_shape.items():
                update = orthogonalized(torch.stack([d for d, _ in pairs]))
                scale = group["lr"] * max(1.0, n_out / n_in) ** 0.5
                for (_, w), u in zip(pairs, update):
                    w.sub_(u, alpha=scale)


def orthogonalized(g, steps=5):
    """Nearest semi-orthogonal matrices, roughly: g (n, rows, cols) -> (n, rows, cols)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[1] > g.shape[2]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def new_model(eos_id: int):
    """A GPT-2 of the pocket shape, without dropout.

    GPT-2's initialisation, but each block's two output matrices start at zero, so that the
    model begins as the identity between embedding and head.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCAB_SIZE, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
        bos_token_id=eos_id, eos_token_id=eos_id,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=True,
    )
    model = GPT2LMHeadModel(config)
    for block in model.transformer.h:
        torch.nn.init.zeros_(block.attn.c_proj.weight)
        torch.nn.init.zeros_(block.mlp.c_proj.weight)
    return model


def optimizers(model):
    """Muon for the blocks' matrices, AdamW for embeddings, biases and gains."""
    body = model.transformer
    hidden = [p for p in body.h.parameters() if p.ndim == 2]
    chosen = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = Muon(hidden, lr=LR_MUON, momentum=0.95)
    adamw = torch.optim.AdamW(rest, lr=LR_ADAMW, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return muon, adamw


def sample_rows(stream: np.ndarray, many: int = 256) -> torch.Tensor:
    """Rows (many, CONTEXT) of training text, evenly spread."""
    starts = np.linspace(0, max(0, len(stream) - CONTEXT - 1), many).astype(int)
    return torch.from_numpy(np.stack([stream[s : s + CONTEXT] for s in starts]).astype(np.int64))


def lr_factor(done: float, step: int) -> float:
    """Warm-up over 100 steps, constant, then linear to zero over the last half of the time."""
    return min(1.0, (step + 1) / 100) * min(1.0, 2 * (1 - min(done, 1.0)))


def batches(stream: np.ndarray, seed: int):
    """Endless batches x, y (B, T): a random offset and order for each pass over the stream."""
    rng = np.random.default_rng(seed)
    while True:
        offset = int(rng.integers(CONTEXT))
        starts = np.arange(offset, len(stream) - CONTEXT - 1, CONTEXT)
        rng.shuffle(starts)
        for i in range(0, len(starts) - BATCH + 1, BATCH):
            rows = np.stack([stream[s : s + CONTEXT + 1] for s in starts[i : i + BATCH]])
            rows = torch.from_numpy(rows.astype(np.int64))
            yield rows[:, :-1], rows[:, 1:]


def train(text: Path, heldout: Path | None, minutes: float, out: Path, rounding_steps: int = ROUNDING_STEPS) -> dict:
    """Run or go on with a training run; returns the figures that the model card states."""
    from transformers import GPT2TokenizerFast

    state_file = out / "state" / "state.pt"
    state_file.parent.mkdir(parents=True, exist_ok=True)
    texts = [story for path in sorted(text.glob("*.txt")) for story in stories(path)]
    if not texts:
        raise SystemExit(f"no stories found in {text}")
    if not (out / "tokenizer.json").exists():
        print(f"tokenizer: {VOCAB_SIZE} tokens from {len(texts)} stories", flush=True)
        train_tokenizer(texts, out)
    tokenizer = GPT2TokenizerFast.from_pretrained(out)
    eos = tokenizer.eos_token_id
    encoded = tokenizer(texts, verbose=False)["input_ids"]
    stream = np.array([i for ids in encoded for i in (eos, *ids)] + [eos], dtype=np.int32)

    torch.manual_seed(0)
    model = new_model(eos)
    muon, adamw = optimizers(model)
    for group in muon.param_groups + adamw.param_groups:
        group["base_lr"] = group["lr"]
    step, elapsed = 0, 0.0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        muon.load_state_dict(state["muon"])
        adamw.load_state_dict(state["adamw"])
        step, elapsed = state["step"], state["elapsed"]
        print(f"going on after step {step}, {elapsed / 60:.1f} minutes", flush=True)
    data = batches(stream, seed=0)
    for _ in range(step):
        next(data)

    def loss_of(x, y):
        states = lean.hidden_states(model, x)
        logits = states @ model.lm_head.weight.T
        return F.cross_entropy(logits.flatten(0, 1), y.flatten())

    print(f"{len(stream):,} tokens; {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_faster())
    begun, saved, running = time.perf_counter() - elapsed, elapsed, None
    model.train()
    while elapsed < minutes * 60:
        x, y = next(data)
        factor = lr_factor(elapsed / (minutes * 60), step)
        for group in muon.param_groups + adamw.param_groups:
            group["lr"] = group["base_lr"] * factor
        with autocast:
            loss = loss_of(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in (muon, adamw):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        elapsed = time.perf_counter() - begun
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 20 == 0:
            rate = step * BATCH * CONTEXT / elapsed
            print(f"step {step:5d}  loss {running:.3f}  {rate:,.0f} tokens/s  "
                  f"{elapsed / 60:.1f} of {minutes:.0f} min", flush=True)
        if elapsed - saved > SAVE_EVERY:
            saved = elapsed
            save_state(state_file, model, muon, adamw, step, elapsed)
    save_state(state_file, model, muon, adamw, step, elapsed)
    figures = {"steps": step, "minutes": round(elapsed / 60, 1),
               "tokens_seen": step * BATCH * CONTEXT, "tokens_in_corpus": len(stream)}
    export(model, out, sample_rows(stream), rounding_steps)
    held_out = stories(heldout) if heldout is not None else []
    figures["largest_logit_change_in_float16"] = float16_error(model, out, held_out or texts[:20])
    if held_out:
        figures |= measure(out, held_out)
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "README.md").write_text(model_card(figures, sorted(text.glob("*.txt"))), encoding="utf-8")
    print(json.dumps(figures), flush=True)
    return figures


def save_state(file: Path, model, muon, adamw, step: int, elapsed: float) -> None:
    """Write the run's state beside the old one, then take its place, so a kill leaves a whole file."""
    part = file.with_suffix(".part")
    torch.save({"model": model.state_dict(), "muon": muon.state_dict(),
                "adamw": adamw.state_dict(), "step": step, "elapsed": elapsed}, part)
    part.replace(file)


def export(model, out: Path, rows: torch.Tensor, rounding_steps: int = ROUNDING_STEPS) -> None:
    """Save the matrices as float16, the small rest as float32; config.json asks for float32 when loaded.

    Gains, biases and positions are 1.5 % of the numbers, and rounding them would move the logits as
    much as rounding all the matrices does.
    """
    from bigmodel_nb.gpt2.checkpoint import quiet

    stored = rounded(model, rows, rounding_steps)
    for name, p in stored.named_parameters():
        if in_float16(name, p):
            p.data = p.data.half()
    with quiet():
        stored.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    config = json.loads((out / "config.json").read_text())
    config["dtype"] = "float32"
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def in_float16(name: str, p: torch.Tensor) -> bool:
    """True for the parameters that are stored as float16: the matrices, but not the positions."""
    return p.ndim == 2 and "wpe" not in name


def rounded(model, rows: torch.Tensor, steps: int = ROUNDING_STEPS):
    """A copy whose matrices hold float16 values, each rounded up or down so that logits move least.

    Every number starts at its nearest float16. Training with the float32 model as teacher then
    shifts it by less than one unit in the last place before it is rounded, with the gradient
    passed straight through. Source: Nagel et al. (2020), in spirit; Bengio et al. (2013).
    """
    import copy

    teacher, student = copy.deepcopy(model).eval(), copy.deepcopy(model).eval()
    chosen = [(name, p) for name, p in student.named_parameters() if in_float16(name, p)]
    exact = {name: p.detach().clone() for name, p in chosen}
    unit = {name: torch.exp2(torch.floor(torch.log2(w.abs().clamp(min=2**-14))) - 10) for name, w in exact.items()}
    shift = {name: torch.zeros_like(w, requires_grad=True) for name, w in exact.items()}
    optimizer = torch.optim.Adam(shift.values(), lr=0.02)
    for step in range(steps):
        for name, p in chosen:
            p.data = (exact[name] + unit[name] * shift[name].detach()).half().float()
        batch = rows[(8 * step + torch.arange(8)) % len(rows)]
        with torch.no_grad():
            wanted = lean.hidden_states(teacher, batch) @ teacher.lm_head.weight.T
        student.zero_grad()
        logits = lean.hidden_states(student, batch) @ student.lm_head.weight.T
        (logits - wanted).square().mean().backward()
        for name, p in chosen:
            shift[name].grad = p.grad * unit[name]
        optimizer.step()
        with torch.no_grad():
            for value in shift.values():
                value.clamp_(-1, 1)
    with torch.no_grad():
        for name, p in chosen:
            p.data = (exact[name] + unit[name] * shift[name].detach()).half().float()
    return student


def float16_error(model, folder: Path, texts: list[str]) -> float:
    """Largest change of a logit by storing float16, over the first context of each text."""
    from bigmodel_nb.gpt2.load import load_gpt2

    stored, tokenizer = load_gpt2(folder)
    worst = 0.0
    with torch.inference_mode():
        for text in texts[:20]:
            ids = torch.tensor([tokenizer(text, verbose=False)["input_ids"][:CONTEXT]])
            worst = max(worst, float((model.eval()(ids).logits - stored(ids).logits).abs().max()))
    return round(worst, 5)


def measure(folder: Path, texts: list[str]) -> dict:
    """Bits per byte of the exported checkpoint over `texts`, windows overlapping by half."""
    from bigmodel_nb.gpt2.evaluate import bits_per_byte, perplexity
    from bigmodel_nb.gpt2.load import load_gpt2

    model, tokenizer = load_gpt2(folder)
    return {
        "heldout_bytes": sum(len(text.encode()) for text in texts),
        "bits_per_byte": round(bits_per_byte(model, tokenizer, texts), 4),
        "perplexity": round(perplexity(model, tokenizer, texts), 2),
    }


def model_card(figures: dict, files: list[Path]) -> str:
    """The README of a checkpoint: what it is, how it was made, its figures and its limits."""
    held = ""
    if "bits_per_byte" in figures:
        held = (f"- Held-out tales, {figures['heldout_bytes']:,} bytes, never trained on: "
                f"{figures['bits_per_byte']} bits per byte, perplexity {figures['perplexity']} a token "
                "(each story after `<|endoftext|>`, windows overlapping by half).\n")
    books = "\n".join(f"- {path.stem.replace('-', ' ')}" for path in files)
    passes = figures["tokens_seen"] / figures["tokens_in_corpus"]
    return f"""# Pocket GPT-2

A GPT-2 with {LAYERS} layers, {HEADS} heads, d_model {WIDTH}, context {CONTEXT} and a byte-level BPE
vocabulary of {VOCAB_SIZE} tokens, trained from scratch on public-domain tales for the bigmodel-nb course.
Matrices stored as float16, the rest as float32 safetensors, loaded as float32. Code and weights: MIT licence.

## Recipe

`python -m bigmodel_nb.gpt2.pocket.train --text FOLDER --heldout FILE --minutes N --out DIR`

{BATCH} rows of {CONTEXT} tokens a step; Muon (learning rate {LR_MUON}) for the matrices of the blocks, AdamW
({LR_ADAMW}, betas 0.9 and 0.95) for the rest; warm-up over 100 steps, linear decay over the last half;
gradients clipped at 1; no dropout, no weight decay.

## Figures

- {figures['steps']:,} steps, {figures['tokens_seen']:,} tokens: {passes:.2f} passes over the {figures['tokens_in_corpus']:,} tokens
  of the corpus, on two CPU cores.
{held}- Storing the matrices as float16 moves no logit by more than {figures['largest_logit_change_in_float16']}
  (first context of 20 held-out tales; the roundings were chosen for it on training text).

## Limits

It writes English in the manner of nineteenth-century tales, and nothing else: no facts, no answers, no
other language. A story loses its thread after a few sentences. The books were edited to leave out slurs
by a list of words, but the attitudes of their time remain here and there, and so they can in what the
model writes. It is for learning, not for use with people who don't know this.

## Books

Texts of Project Gutenberg and other public-domain editions, all by authors and translators dead for over
70 years, with headers, notes and titles removed:

{books}
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="folder of training texts")
    parser.add_argument("--heldout", type=Path, help="file that is measured and never trained on")
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--rounding-steps", type=int, default=ROUNDING_STEPS, help="steps that choose the float16 roundings")
    parser.add_argument("--out", type=Path, default=Path("pocket"), help="folder for checkpoint and state")
    args = parser.parse_args()
    train(args.text, args.heldout, args.minutes, args.out, args.rounding_steps)


if __name__ == "__main__":
    main()
