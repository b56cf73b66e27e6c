"""The learner's own files: what is read, and what is said of what can't be."""

import pytest

from bigmodel_nb import datasets
from bigmodel_nb.errors import DataError

TEXT = "A page of one's own, written on a rainy day. " * 10


def test_one_file_is_one_document(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text(TEXT + "\r\nnext line", encoding="utf-8", newline="")
    assert datasets.own_text(file) == datasets.own_text(str(file)) == [TEXT + "\nnext line"]


def test_a_folder_is_read_in_a_fixed_order_without_hidden_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    for name in ("b.txt", "a.md", "sub/c.TXT", "picture.png", ".ipynb_checkpoints/b.txt"):
        (tmp_path / name).write_text(f"{name} {TEXT}", encoding="utf-8")
    assert [d.split()[0] for d in datasets.own_text(tmp_path)] == ["a.md", "b.txt", "sub/c.TXT"]


def test_a_marker_line_starts_a_new_document(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text(f"{TEXT}\n<|endoftext|>\n{TEXT}\n", encoding="utf-8")
    assert datasets.own_text(file) == [TEXT.strip()] * 2


FRENCH = "Été, élève, forêt : « déjà vu » à l'école, où l'on naît naïf. " * 8
CHINESE = "从前有一个国王，他有三个儿子。They lived in a castle. " * 8


@pytest.mark.parametrize(
    "text, encoding, named",
    [(FRENCH, "cp1252", "cp1252"), (CHINESE, "gb18030", "gb18030"), (FRENCH, "utf-8-sig", None), (CHINESE, "utf-16", None)],
)
def test_other_encodings_are_read_and_guesses_are_said(tmp_path, recwarn, text, encoding, named):
    file = tmp_path / "own.txt"
    file.write_bytes(text.encode(encoding))
    assert datasets.own_text(file) == [text.strip()]
    said = [str(w.message) for w in recwarn]
    assert len(said) == bool(named) and all(f"read as {named}" in message for message in said)


WRONG = {
    "missing": (None, "no file or folder"),
    "empty": (b"", "holds 0 characters"),
    "blank": (b" \n \n", "holds 0 characters"),
    "too short": (b"Only a line.", "holds 12 characters"),
    "a Word file": (b"PK\x03\x04" + bytes(range(256)) * 9, "not a plain text file"),
    "a PDF": (b"%PDF-1.7\n" + bytes([1, 2, 3, 250]) * 99, "not a plain text file"),
    "odd bytes": (b"Text \x81\x8d\x8f " * 40, "encoding that is not recognised"),
}


@pytest.mark.parametrize("raw, message", WRONG.values(), ids=WRONG)
def test_what_can_not_be_read(tmp_path, raw, message):
    file = tmp_path / "own.txt"
    if raw is not None:
        file.write_bytes(raw)
    with pytest.raises(DataError, match=message):
        datasets.own_text(file)


def test_a_folder_without_text(tmp_path):
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(DataError, match="no .txt or .md file"):
        datasets.own_text(tmp_path)


def test_a_file_of_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr("bigmodel_nb.datasets.own.MAX_BYTES", 100)
    (tmp_path / "own.txt").write_text(TEXT, encoding="utf-8")
    with pytest.raises(DataError, match="450 bytes; at most 100"):
        datasets.own_text(tmp_path / "own.txt")
