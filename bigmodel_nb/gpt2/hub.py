"""Fetch a model's files from the Hugging Face hub, in a process of its own.

huggingface_hub reads HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE once, when it is imported, and a few
of its requests have no time limit. A child process reads them as they are at the call, and can
always be ended.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from bigmodel_nb.errors import ModelError, ResourceError

FILES = [
    "config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt",
]
TRIES = 3  # of a download that breaks off, arrives damaged or finds the hub busy
PAUSE = 1.0  # seconds before the second try, twice that before the third
STALL = 60.0  # seconds without a new byte after which a download is given up
LIMITS = {"HF_HUB_ETAG_TIMEOUT": "15", "HF_HUB_DOWNLOAD_TIMEOUT": "15"}  # seconds, each request
NEXT = (
    "Next: try again; behind a firewall, name a mirror with os.environ['HF_ENDPOINT'] = 'https://...'; "
    "or pass a folder that holds the model, load_gpt2('path/to/folder'); "
    "load_gpt2() loads the pocket model, which needs no network."
)
PROBLEMS = {
    "name": "{name!r} is neither a folder nor a possible name on the hub ({detail}).",
    "unknown": "{hub} has no model {name!r} that is open to you ({detail}), and no folder has that name. "
    "Check the spelling; a private model needs `hf auth login` first.",
    "gated": "{name!r} is gated: ask for access on {hub}/{name}, then run `hf auth login`.",
    "denied": "{hub} refused {name!r} ({detail}). Renew your access token with `hf auth login`.",
    "offline": "{name!r} is not complete in this machine's cache, and HF_HUB_OFFLINE forbids the network. "
    "Unset HF_HUB_OFFLINE and load it once with a network.",
    "network": "{hub} can't be reached to fetch {name!r} ({detail}).",
    "busy": "{hub} can't serve {name!r} at the moment ({detail}).",
    "cut off": "the download of {name!r} broke off each time ({detail}); no part of it is used.",
    "stalled": "the download of {name!r} from {hub} stands still: no new byte for {detail}; no part of it is used.",
    "damaged": "{detail} of {name!r} does not match its checksum and was removed from the cache.",
    "no hub": "{hub} does not answer like a Hugging Face hub when asked for {name!r} ({detail}). "
    "Check HF_ENDPOINT, proxy and firewall.",
    "disk": "the disk is full: {name!r} does not fit into {cache}.",
    "read-only": "{cache} can't be written ({detail}), so {name!r} can't be stored.",
    "other": "{name!r} could not be fetched from {hub} ({detail}).",
}
DISK_NEXT = (
    "Next: free some space there, or name another place with os.environ['HF_HOME'] = '/path/with/space'; "
    "load_gpt2() loads the pocket model, which needs neither."
)


def download(name: str) -> Path:
    """Folder in the hub's cache that holds the files of `name`, each equal to its checksum.

    Errors: ModelError where the hub or the model can't be reached, ResourceError for a full disk.
    """
    answer = _ask_child(name)
    if "folder" in answer:
        return Path(answer["folder"])
    kind = answer["problem"]
    problem = PROBLEMS[kind].format(name=name, **answer)
    if kind in ("disk", "read-only"):
        raise ResourceError(f"{problem} {DISK_NEXT}")
    raise ModelError(f"{problem} {NEXT}")


def _ask_child(name: str) -> dict:
    """What `_main` prints, run in a new process with this one's import path."""
    environment = {
        **LIMITS,
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
        "HF_HUB_DISABLE_XET": "1",  # plain HTTP passes through mirrors and firewalls
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-P", "-m", __name__, name, str(STALL), str(PAUSE)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **streams) as child:
        try:
            out, err = child.communicate()
        finally:
            child.kill()  # an interrupted call leaves no download running
    try:
        return json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        last = err.strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
        return {"problem": "other", "detail": last[0], "hub": _hub(), "cache": ""}


def _hub() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _main(name: str, stall: float, pause: float) -> None:
    """Fetch `name` and print the folder, or what went wrong, as one line of JSON."""
    from huggingface_hub import constants, snapshot_download  # a slow import is not a stalled download

    cache = Path(constants.HF_HUB_CACHE)
    blobs = cache / ("models--" + name.replace("/", "--")) / "blobs"
    told = {"hub": _hub(), "cache": str(cache)}
    _remove_leftovers(blobs, older_than=stall)
    _set_time_limit()
    for attempt in range(TRIES):
        time.sleep(attempt * pause)
        with _watch(blobs, stall, told):
            answer = _fetch(snapshot_download, name)
        if "folder" in answer:
            answer = _verified(answer)
        if answer.get("problem") not in ("busy", "cut off", "damaged"):
            break
    _print({**told, **answer})


def _print(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


def _fetch(snapshot_download, name: str) -> dict:
    try:
        return {"folder": snapshot_download(name, allow_patterns=FILES, max_workers=4)}
    except Exception as error:
        return _problem(error)


def _verified(answer: dict) -> dict:
    damaged = [path.name for path in sorted(Path(answer["folder"]).iterdir()) if not _intact(path)]
    return {"problem": "damaged", "detail": ", ".join(damaged)} if damaged else answer


def _intact(path: Path) -> bool:
    """Compare a cached file with the hash that names its blob: SHA-256, or git's SHA-1 of small
    files. A damaged file is removed, with its blob, so that it is fetched anew."""
    if not path.is_symlink() or path.is_dir():
        return True  # a cache without links does not keep the hash
    blob = path.parent / os.readlink(path)
    if len(blob.name) == 64:
        digest = hashlib.sha256()
    elif len(blob.name) == 40:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    else:
        return True
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    if digest.hexdigest() == blob.name:
        return True
    path.unlink()
    blob.unlink()
    return False


def _problem(error: Exception) -> dict:
    """Name the cause of a failed download, which huggingface_hub may have wrapped."""
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    names = {base.__name__ for e in chain for base in type(e).__mro__}
    status = next((e.response.status_code for e in chain if getattr(e, "response", None) is not None), None)
    codes = {getattr(e, "errno", None) for e in chain}
    cause = next((e for e in reversed(chain) if isinstance(e, OSError) and str(e)), chain[0])
    detail = f"HTTP status {status}" if status else f"{type(cause).__name__}: {_first_line(cause)}"
    return {"problem": _kind(names, status, codes, chain), "detail": detail}


def _kind(names: set[str], status: int | None, codes: set, chain: list[Exception]) -> str:
    """The key in PROBLEMS for an error, given the class names, status and errno of its chain."""
    if codes & {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "disk"
    if "HFValidationError" in names:
        return "name"
    if "OfflineModeIsEnabled" in names:
        return "offline"
    if "GatedRepoError" in names:
        return "gated"
    if "RepositoryNotFoundError" in names or status == 404:
        return "unknown"
    if status in (401, 403):
        return "denied"
    if status == 429 or (status or 0) >= 500:
        return "busy"
    if "RemoteProtocolError" in names or any("Consistency check failed" in str(e) for e in chain):
        return "cut off"
    if names & {"TransportError", "ConnectionError", "TimeoutError", "gaierror"}:
        return "network"
    if codes & {errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR}:
        return "read-only"
    if names & {"FileMetadataError", "JSONDecodeError"}:
        return "no hub"
    return "other"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]


def _set_time_limit() -> None:
    """Requests for which huggingface_hub sets no time limit get one."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    get_session().timeout = constants.HF_HUB_ETAG_TIMEOUT


@contextmanager
def _watch(blobs: Path, stall: float, told: dict):
    """End this process if, within the block, the bytes in `blobs` do not grow for `stall` seconds."""
    finished = threading.Event()

    def watch():
        most, since = -1, time.monotonic()
        while not finished.wait(min(0.25, stall / 10)):
            size = sum(status.st_size for _, status in _files(blobs))
            if size > most:
                most, since = size, time.monotonic()
            if time.monotonic() - since > stall:
                _print({**told, "problem": "stalled", "detail": f"{stall:.0f} s"})
                _remove_leftovers(blobs, older_than=stall / 2)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        finished.set()


def _remove_leftovers(blobs: Path, older_than: float) -> None:
    """Remove parts of downloads that nobody has written to for `older_than` seconds."""
    for path, status in _files(blobs):
        if path.suffix == ".incomplete" and time.time() - status.st_mtime > older_than:
            path.unlink(missing_ok=True)


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Files of a folder that may change meanwhile, with their status."""
    found = []
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            found.append((path, path.stat()))
    return found


if __name__ == "__main__":
    _main(sys.argv[1], *map(float, sys.argv[2:]))
