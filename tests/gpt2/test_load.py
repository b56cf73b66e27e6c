"""load_gpt2 on folders: what is accepted, and that each kind of damage is named."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

from bigmodel_nb import memory
from bigmodel_nb.errors import ModelError, ResourceError
from bigmodel_nb.gpt2.load import POCKET, SAMPLE, load_gpt2


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A small GPT-2 with the pocket's tokenizer, as a learner saves it."""
    folder = tmp_path_factory.mktemp("saved")
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_head=2, n_embd=32, n_positions=64, vocab_size=4096, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).half().save_pretrained(folder)  # config.json then asks for float16
    GPT2TokenizerFast.from_pretrained(POCKET).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("BIGMODEL_NB_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, tmp_path / "mine")
    return tmp_path / "mine"


def refused(name, *words: str, error=ModelError) -> None:
    """Loading must fail with a message that holds `words` and names the next step."""
    with pytest.raises(error) as caught:
        load_gpt2(name)
    message = str(caught.value)
    assert "Next:" in message
    for word in words:
        assert word in message, message


def edit_config(folder: Path, **changes) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_weights(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


# accepted

def test_pocket_and_its_tokenizer(folder, capfd):
    model, tokenizer = load_gpt2()
    assert isinstance(model, GPT2LMHeadModel) and isinstance(tokenizer, GPT2TokenizerFast)
    assert model.dtype == torch.float32 and not model.training
    assert tokenizer.decode(tokenizer(SAMPLE)["input_ids"]) == SAMPLE
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("as_type", [str, Path])
def test_saved_folder_in_float32(folder, as_type, capfd):
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    model, _ = load_gpt2(as_type(folder))
    assert model.dtype == torch.float32 and not model.training
    assert capfd.readouterr() == ("", "")


def test_relative_folder_and_environment(folder, monkeypatch):
    assert load_gpt2("mine")[0].config.n_layer == 2
    monkeypatch.setenv("BIGMODEL_NB_MODEL", str(folder))
    assert load_gpt2()[0].config.n_layer == 2
    assert load_gpt2("pocket")[0].config.n_layer == 6


def test_round_trip_keeps_the_weights(folder, tmp_path):
    model, tokenizer = load_gpt2(folder)
    model.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")
    again, _ = load_gpt2(tmp_path / "again")
    for (name, p), (_, q) in zip(model.named_parameters(), again.named_parameters()):
        assert torch.equal(p, q), name


def test_tensor_names_without_prefix(folder):
    """gpt2 on the hub is stored so, with the attention masks."""
    want = load_gpt2(folder)[0].transformer.h[0].attn.c_attn.weight

    def strip(weights):
        for key in list(weights):
            weights[key.removeprefix("transformer.")] = weights.pop(key)
        weights["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)

    edit_weights(folder, strip)
    assert torch.equal(load_gpt2(folder)[0].transformer.h[0].attn.c_attn.weight, want)


def test_shards(folder):
    model, _ = load_gpt2(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="200kB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert torch.equal(load_gpt2(folder)[0].lm_head.weight, model.lm_head.weight)
    sorted(folder.glob("model-*.safetensors"))[0].unlink()
    refused(folder, "incomplete", "model-00001")


@pytest.mark.parametrize("kept", [("vocab.json", "merges.txt"), ("tokenizer.json",)])
def test_either_form_of_the_tokenizer(folder, kept):
    for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"):
        if (folder / name).exists():
            (folder / name).unlink()
    for name in kept:
        shutil.copy(POCKET / name, folder)
    _, tokenizer = load_gpt2(folder)
    assert len(tokenizer) == 4096 and tokenizer.eos_token_id == 0


def test_neither_network_nor_process_is_tried(folder, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError(f"tried {args}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    load_gpt2("pocket")
    load_gpt2(folder)


def test_progress_bars_are_left_as_they_were(folder):
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_gpt2(folder)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, bars)


# refused

@pytest.mark.parametrize("name", ["", "  ", 5, ["pocket"]])
def test_not_a_name(folder, name):
    refused(name, "name or a folder")


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c", "~/no-such-folder", Path("nowhere")])
def test_folder_does_not_exist(folder, name):
    refused(name, "no such folder")


def test_file_instead_of_folder(folder):
    refused(folder / "model.safetensors", "is a file")


def test_empty_folder(tmp_path):
    refused(tmp_path, "config.json is missing", "holds nothing")


def test_folder_of_other_things(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    refused(tmp_path, "config.json is missing", "notes.txt")


def test_gpt2_is_the_hub_even_beside_a_folder_of_that_name(folder, monkeypatch):
    """A folder 'gpt2' in the working directory must not take the place of the model on the hub."""
    shutil.copytree(folder, "gpt2")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(folder / "empty"))
    refused("gpt2", "HF_HUB_OFFLINE")
    assert load_gpt2("./gpt2")[0].config.n_layer == 2


@pytest.mark.parametrize("kind", ["bert", "llama", None])
def test_other_architecture(folder, kind):
    edit_config(folder, model_type=kind)
    refused(folder, repr(kind), "GPT-2 models only")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff"])
def test_damaged_config(folder, text):
    (folder / "config.json").write_text(text, encoding="latin-1")
    refused(folder, "config.json is damaged")


def test_config_that_builds_no_model(folder):
    edit_config(folder, n_head=5)
    refused(folder, "config.json")


def test_pickle_only(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    refused(folder, "pickle", "pytorch_model.bin", "save_pretrained")


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "model.safetensors", "is missing")


@pytest.mark.parametrize("size", [0, 7, 100, -1, -50_000])
def test_truncated_weights(folder, size):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    refused(folder, "model.safetensors is damaged")


def test_garbage_instead_of_weights(folder):
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 1000)
    refused(folder, "model.safetensors is damaged")


def test_git_lfs_pointer(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    refused(folder, "git lfs pull")


def test_missing_tensor(folder):
    edit_weights(folder, lambda weights: weights.pop("transformer.h.1.mlp.c_fc.weight"))
    refused(folder, "transformer.h.1.mlp.c_fc.weight is missing")


def test_tensor_of_another_shape(folder):
    edit_weights(folder, lambda weights: weights.update({"transformer.wpe.weight": torch.zeros(60, 32)}))
    refused(folder, "transformer.wpe.weight has shape (60, 32)", "(64, 32)")


def test_more_layers_than_config_says(folder):
    edit_config(folder, n_layer=1)
    refused(folder, "h.1.", "has no place")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(folder, value):
    edit_weights(folder, lambda weights: weights["transformer.ln_f.weight"].fill_(value))
    refused(folder, "transformer.ln_f.weight holds NaN or infinity")


def test_no_tokenizer(folder):
    for file in (*folder.glob("tokenizer*"), *folder.glob("vocab*"), *folder.glob("merges*")):
        file.unlink()
    refused(folder, "tokenizer is missing", "tokenizer.save_pretrained(folder)")


def test_damaged_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"version":')
    refused(folder, "tokenizer can't be read")


def test_tokenizer_that_loses_text(folder):
    from tokenizers import BertWordPieceTokenizer

    other = BertWordPieceTokenizer()
    other.train_from_iterator(["a wolf and a cat"], show_progress=False)
    other.save(str(folder / "tokenizer.json"))
    refused(folder, "does not give text back")


def test_tokenizer_larger_than_the_model(folder):
    tokenizer = GPT2TokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(folder)
    refused(folder, "token 4096", "4096 tokens", "resize_token_embeddings")


def test_too_little_memory(folder, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    refused(folder, "GB of memory are free", error=ResourceError)


def test_message_alone_is_shown_in_a_notebook(tmp_path):
    with pytest.raises(ModelError) as caught:
        load_gpt2(tmp_path)
    (shown,) = caught.value._render_traceback_()
    assert shown.startswith("ModelError: load_gpt2(") and "Traceback" not in shown
