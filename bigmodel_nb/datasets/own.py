"""The learner's own text files."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from bigmodel_nb.datasets.shipped import split
from bigmodel_nb.errors import DataError

SUFFIXES = (".txt", ".md")
MIN_CHARACTERS = 200
MAX_BYTES = 100_000_000
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
HIGH_PAIR = re.compile(rb"[\x81-\xfe][\xa1-\xfe]")


def own_text(path: str | Path) -> list[str]:
    """Documents from a .txt or .md file, or from all of them in a folder and its subfolders.

    One document a file; a line `<|endoftext|>` inside a file starts a new one. Files are read as
    UTF-8; what isn't UTF-8 is read as GB18030 or Windows-1252, with a warning that says so.
    Errors: DataError for a path that is missing, binary, empty, or holds too little text.

    >>> own_text("no/such/file.txt")
    Traceback (most recent call last):
    ...
    bigmodel_nb.errors.DataError: there is no file or folder 'no/such/file.txt'. ...
    """
    documents = [text for file in _files(Path(path)) for text in split(read_text(file))]
    size = sum(map(len, documents))
    if size < MIN_CHARACTERS:
        raise DataError(
            f"{str(path)!r} holds {size} characters of text; at least {MIN_CHARACTERS} are needed to "
            "fine-tune on and some thousand to measure anything. Add more text or more files."
        )
    return documents


def _files(path: Path) -> list[Path]:
    """The text files that a path stands for, in a fixed order."""
    path = path.expanduser()
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(
            f"there is no file or folder {str(path)!r}. Paths start from {str(Path.cwd())!r}; "
            "in JupyterLab, right-click the file and choose Copy Path."
        )
    inside = (f for f in path.rglob("*") if f.is_file() and f.suffix.lower() in SUFFIXES)
    files = sorted(f for f in inside if not any(p.startswith(".") for p in f.relative_to(path).parts))
    if not files:
        raise DataError(f"the folder {str(path)!r} holds no .txt or .md file. Save your text as plain text there.")
    return files


def read_text(file: Path) -> str:
    """The text of a file, with "\\n" line ends; errors as in `own_text`."""
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{file.name} has {size:,} bytes; at most {MAX_BYTES:,} are read. Pass a part of it.")
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file.name} can't be read: {error.strerror}. Check its permissions.") from None
    return re.sub(r"\r\n?", "\n", decode(raw, file.name))


def decode(raw: bytes, name: str) -> str:
    """Bytes of a text file to a str; warns where the encoding is a guess, DataError where it isn't text.

    >>> decode("Grüße".encode(), "a.txt")
    'Grüße'
    """
    encodings = [encoding for bom, encoding in BOMS.items() if raw.startswith(bom)]
    if not encodings and _is_binary(raw):
        raise DataError(
            f"{name} is not a plain text file. Export it as plain text (UTF-8, .txt) from the program "
            "that made it; a .docx or .pdf can't be read."
        )
    for encoding in encodings or ["utf-8", _legacy_encoding(raw)]:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not encodings and encoding != "utf-8":
            warnings.warn(
                f"{name} is not UTF-8; it was read as {encoding}. If letters look wrong, save it as UTF-8.",
                stacklevel=4,
            )
        return text
    raise DataError(f"{name} is in an encoding that is not recognised. Save it as UTF-8 and try again.")


def _is_binary(raw: bytes) -> bool:
    """True if bytes hold control characters that text never has."""
    head = raw[:65536]
    controls = sum(head.count(c) for c in range(32) if c not in b"\t\n\f\r\x1b")
    return b"\0" in head or controls > len(head) / 100


def _legacy_encoding(raw: bytes) -> str:
    """GB18030 where high bytes come in pairs, as Chinese does; else Windows-1252."""
    high = sum(byte > 0x7F for byte in raw)
    return "gb18030" if 2 * len(HIGH_PAIR.findall(raw)) > 0.8 * high else "cp1252"
