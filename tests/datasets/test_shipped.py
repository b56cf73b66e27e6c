"""The tales that come with the course."""

import csv
import hashlib

import pytest

from bigmodel_nb import datasets
from bigmodel_nb.datasets import make_tales, shipped
from bigmodel_nb.errors import DataError


@pytest.mark.parametrize("part", shipped.PARTS)
def test_one_text_of_whole_stories(part):
    text, stories = datasets.tales(part), datasets.stories(part)
    assert 140_000 < len(text.encode()) < 160_000
    assert text.split("<|endoftext|>") == stories
    assert all(s == s.strip() and s[-1] in '.!?")' for s in stories)
    rows = shipped.table(part)
    assert [" ".join(s.split()[:14]) for s in stories] == [row["opening"] for row in rows]


def test_the_parts_share_books_but_no_story():
    seen, unseen = ({row["book"] for row in shipped.table(part)} for part in shipped.PARTS)
    assert seen == unseen
    assert not set(datasets.stories("seen")) & set(datasets.stories("unseen"))
    card = (shipped.FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"| {book} |" in card for book in seen)


def shingles(texts, n=8):
    words = [t.lower().split() for t in texts]
    return {" ".join(w[i : i + n]) for w in words for i in range(len(w) - n + 1)}


def test_next_to_no_phrase_is_on_both_sides():
    seen, unseen = shingles(datasets.stories("seen")), shingles(datasets.stories("unseen"))
    assert len(seen & unseen) < 0.002 * len(unseen)


def test_the_files_are_those_of_the_card():
    card = (shipped.FOLDER / "README.md").read_text(encoding="utf-8")
    for part in shipped.PARTS:
        raw = (shipped.FOLDER / f"{part}.txt").read_bytes()
        assert f"| `{part}.txt` | {len(raw):,} | {len(shipped.table(part))} |" in card
        assert b"\r" not in raw


@pytest.mark.parametrize("part", ["all", "", None, 3])
def test_another_part(part):
    with pytest.raises(DataError, match="'seen' and 'unseen'"):
        datasets.tales(part)


def test_the_excerpts_can_be_made_again(tmp_path, monkeypatch):
    """From a corpus put together of the shipped stories and others between them."""
    (tmp_path / "tales").mkdir()
    other = "Another story.\n<|endoftext|>\n"
    for row, story in zip(shipped.table("seen"), datasets.stories("seen")):
        with open(tmp_path / "tales" / f"{row['book']}.txt", "a", encoding="utf-8") as file:
            file.write(f"{other}{story}\n<|endoftext|>\n")
    held_out = "".join(f"{other}{s}\n<|endoftext|>\n" for s in reversed(datasets.stories("unseen")))
    (tmp_path / "tales-heldout.txt").write_text(held_out, encoding="utf-8")
    for part in shipped.PARTS:
        made = make_tales.excerpt(tmp_path, part).encode()
        shipped_file = (shipped.FOLDER / f"{part}.txt").read_bytes()
        assert hashlib.sha256(made).digest() == hashlib.sha256(shipped_file).digest()
    (tmp_path / "tales-heldout.txt").write_text(other, encoding="utf-8")
    with pytest.raises(SystemExit, match="0 stories begin with"):
        make_tales.excerpt(tmp_path, "unseen")


def test_the_table_is_plain_csv():
    with open(shipped.FOLDER / "tales.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["part", "book", "title", "opening"]
    assert all(len(row) == 4 and all(row) for row in rows)
