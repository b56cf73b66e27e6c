"""The hub path of load_gpt2: huggingface_hub's own client against a mirror on loopback."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bigmodel_nb.errors import ModelError, ResourceError
from bigmodel_nb.gpt2 import hub
from bigmodel_nb.gpt2.load import POCKET, load_gpt2

spec = importlib.util.spec_from_file_location("mirror", Path(__file__).with_name("mirror.py"))
mirror_module = importlib.util.module_from_spec(spec)
sys.modules["mirror"] = mirror_module
spec.loader.exec_module(mirror_module)

NAME = "someone/tiny-gpt2"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A 2-layer GPT-2 stored as the hub stores gpt2: tensor names without 'transformer.'."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_head=2, n_embd=32, n_positions=64, vocab_size=4096, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights = {key.removeprefix("transformer."): tensor for key, tensor in weights.items()}
    mask = torch.ones(1, 1, 64, 64).tril()
    weights |= {f"h.{i}.attn.bias": mask.clone() for i in range(2)}  # gpt2's file holds the masks too
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name in TOKENIZER:
        shutil.copy(POCKET / name, folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04never fetched")
    return folder


@pytest.fixture
def mirror(tiny, tmp_path, monkeypatch):
    folder = tmp_path / "served"
    shutil.copytree(tiny, folder)
    for variable in ("HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
                     "BIGMODEL_NB_MODEL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "PAUSE", 0.05)
    with mirror_module.serve(NAME, folder) as (served, address):
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield served


def blobs() -> list[Path]:
    return [path for path in Path(os.environ["HF_HOME"]).rglob("blobs/*") if path.is_file()]


def failure(expected=ModelError) -> str:
    """The message of a load that must fail, and must say what else to do."""
    with pytest.raises(expected) as caught:
        load_gpt2(NAME)
    message = str(caught.value)
    assert NAME in message and "Next:" in message and "load_gpt2()" in message
    return message


def test_success_then_offline(mirror, tiny, monkeypatch, capfd):
    model, tokenizer = load_gpt2(NAME)
    assert model.dtype == torch.float32 and not model.training and model.config.n_layer == 2
    stored = load_file(tiny / "model.safetensors")
    assert torch.equal(model.transformer.h[1].attn.c_attn.weight, stored["h.1.attn.c_attn.weight"])
    assert model.lm_head.weight is model.transformer.wte.weight
    assert tokenizer.decode(tokenizer("Once  upon a time .")["input_ids"]) == "Once  upon a time ."
    assert "GET pytorch_model.bin" not in mirror.requests
    assert capfd.readouterr() == ("", "")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    mirror.requests.clear()
    again, _ = load_gpt2(NAME)
    assert torch.equal(again.transformer.wte.weight, model.transformer.wte.weight)
    assert mirror.requests == []


def test_cached_model_survives_a_hub_that_is_down(mirror):
    load_gpt2(NAME)
    mirror.faults = {"info": [503]}
    assert load_gpt2(NAME)[0].config.n_layer == 2


def test_offline_without_cache(mirror, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in failure()
    assert mirror.requests == []


def test_unknown_name(mirror):
    mirror.name = "someone/else"
    message = failure()
    assert "has no model" in message and "404" in message and "spelling" in message


def test_gated(mirror):
    mirror.faults = {"info": [401]}
    assert "hf auth login" in failure()


def test_token_refused(mirror):
    mirror.faults = {"info": [403]}
    assert "token" in failure()


@pytest.mark.parametrize("route", ["info", "model.safetensors"])
def test_always_503(mirror, route):
    mirror.faults = {route: [503]}
    message = failure()
    assert "at the moment" in message and "503" in message and "HF_ENDPOINT" in message
    assert mirror.requests.count(f"GET {route}") >= hub.TRIES


def test_503_twice_then_fine(mirror):
    mirror.faults = {"info": [503, 503, None]}
    assert load_gpt2(NAME)[0].config.n_layer == 2


def test_cut_file_is_never_used(mirror, monkeypatch):
    mirror.faults = {"model.safetensors": ["cut"]}
    message = failure()
    assert "no part of it is used" in message
    assert not [path for path in blobs() if path.suffix == ".incomplete"]

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # what is cached so far is not taken for a model
    assert "not complete" in failure()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    mirror.faults = {}
    assert load_gpt2(NAME)[0].config.n_layer == 2


def test_cut_once_then_fine(mirror, tiny):
    mirror.faults = {"model.safetensors": ["cut", None]}
    model, _ = load_gpt2(NAME)
    stored = load_file(tiny / "model.safetensors")
    assert torch.equal(model.transformer.wte.weight, stored["wte.weight"])


@pytest.mark.parametrize("route", ["info", "config.json", "model.safetensors"])
def test_hang_ends(mirror, route, monkeypatch):
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    monkeypatch.setattr(hub, "STALL", 2.0)
    mirror.faults = {route: ["hang"]}
    begun = time.monotonic()
    message = failure()
    assert time.monotonic() - begun < 40  # the mirror stays silent for two minutes
    assert "stands still" in message or "can't be reached" in message
    assert not [path for path in blobs() if path.suffix == ".incomplete"]


@pytest.mark.parametrize("file", ["model.safetensors", "vocab.json"])
def test_wrong_checksum(mirror, file):
    mirror.faults = {file: ["garbage"]}
    message = failure()
    assert file in message and "checksum" in message
    mirror.faults = {}
    assert load_gpt2(NAME)[0].config.n_layer == 2


def test_cached_file_damaged_later(mirror, monkeypatch):
    load_gpt2(NAME)
    (blob,) = [path for path in blobs() if len(path.name) == 64]
    content = bytearray(blob.read_bytes())
    content[-100] ^= 1
    blob.write_bytes(content)
    assert load_gpt2(NAME)[0].config.n_layer == 2  # fetched anew
    assert blob.read_bytes() != content


@pytest.mark.parametrize("there", ["pytorch_model.bin", "nothing"])
def test_no_safetensors(mirror, there):
    (mirror.folder / "model.safetensors").unlink()
    if there == "nothing":
        (mirror.folder / "pytorch_model.bin").unlink()
    message = failure()
    assert "safetensors" in message
    assert "GET pytorch_model.bin" not in mirror.requests


def test_no_tokenizer(mirror):
    for name in TOKENIZER:
        (mirror.folder / name).unlink()
    with pytest.raises(ModelError, match="tokenizer is missing"):
        load_gpt2(NAME)


def test_web_page_instead_of_a_hub(mirror):
    mirror.faults = {"info": ["web page"]}
    message = failure()
    assert "proxy and firewall" in message and "JSON" in message


def test_nobody_listens(mirror, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    message = failure()
    assert "can't be reached" in message and "HF_ENDPOINT" in message


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_disk_full(mirror):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        message = failure(ResourceError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "disk is full" in message and "HF_HOME" in message
    assert load_gpt2(NAME)[0].config.n_layer == 2


def test_cache_is_not_writable(mirror, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    assert "HF_HOME" in failure(ResourceError)


def test_impossible_name(mirror):
    with pytest.raises(ModelError, match="neither a folder nor a possible name"):
        load_gpt2("my model!")
    assert mirror.requests == []


def test_name_from_the_environment(mirror, monkeypatch):
    monkeypatch.setenv("BIGMODEL_NB_MODEL", NAME)
    assert load_gpt2()[0].config.n_layer == 2
