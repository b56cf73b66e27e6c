"""Cut the two shipped excerpts out of the corpus of tales.

    python -m bigmodel_nb.datasets.make_tales --corpus FOLDER

FOLDER holds `tales/*.txt`, on which the pocket checkpoint was trained, and `tales-heldout.txt`,
on which it was not. `tales.csv` names the stories and their opening words; `seen.txt` and
`unseen.txt` are written beside it, with a line `<|endoftext|>` after each story.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bigmodel_nb.datasets.shipped import EOS, FOLDER, split, table


def story(path: Path, opening: str) -> str:
    """The one story of a file that begins with the words `opening`."""
    found = [s for s in split(path.read_text(encoding="utf-8")) if " ".join(s.split()).startswith(opening)]
    if len(found) != 1:
        raise SystemExit(f"{path.name}: {len(found)} stories begin with {opening!r}; expected one.")
    return found[0]


def excerpt(corpus: Path, part: str) -> str:
    """All stories of one part, in the order of `tales.csv`."""
    pieces = []
    for row in table(part):
        source = corpus / "tales" / f"{row['book']}.txt" if part == "seen" else corpus / "tales-heldout.txt"
        pieces.append(f"{story(source, row['opening'])}\n{EOS}\n")
    return "".join(pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    corpus = parser.parse_args().corpus
    for part in ("seen", "unseen"):
        text = excerpt(corpus, part)
        (FOLDER / f"{part}.txt").write_text(text, encoding="utf-8", newline="\n")
        print(f"{part}.txt: {len(table(part))} stories, {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
