"""Make the n-gram filter of the pocket checkpoint's training text.

    python -m bigmodel_nb.gpt2.pocket.ngrams --text FOLDER

FOLDER holds the texts that `train` was given, UTF-8 files with a line `<|endoftext|>` after each
story. The filter is written beside `bigmodel_nb/datasets/ngrams.py`, where `bn.datasets.tale_ngrams()`
reads it; lesson 12 asks it which passages of a sample were copied.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bigmodel_nb.datasets.ngrams import FILE, NGramFilter
from bigmodel_nb.gpt2.pocket.train import stories

N, STRIDE, SIZE = 8, 4, 3_900_000  # size in bytes: at most 4 MB


def make(folder: Path, out: Path, n: int = N, stride: int = STRIDE, size: int = SIZE) -> NGramFilter:
    """Build the filter of all stories in a folder and write it."""
    from transformers import GPT2TokenizerFast

    texts = [story for path in sorted(folder.glob("*.txt")) for story in stories(path)]
    if not texts:
        raise SystemExit(f"no stories found in {folder}")
    tokenizer = GPT2TokenizerFast.from_pretrained(Path(__file__).parent)
    found = NGramFilter.build(tokenizer(texts, verbose=False)["input_ids"], n, stride, size)
    found.save(out)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="folder of training texts")
    parser.add_argument("--out", type=Path, default=FILE, help="where to write the filter")
    args = parser.parse_args()
    found = make(args.text, args.out)
    print(f"{found!r}; false positives: {found.false_positive_rate:.1e}")


if __name__ == "__main__":
    main()
