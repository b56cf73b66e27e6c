"""A tiny GPT-2 with random numbers and the pocket model, both loaded once."""

import pytest
import torch

WORDS = "the king had a daughter and the fox said to the wolf that winter was near. " * 40


@pytest.fixture(scope="session")
def pocket():
    from bigmodel_nb.gpt2.load import load_gpt2

    return load_gpt2("pocket")


@pytest.fixture
def tiny(pocket):
    """(model, tokenizer): 2 layers, d_model 32, the pocket's vocabulary, fresh for each test."""
    return make_tiny(), pocket[1]


def make_tiny(dropout=0.0, **changes):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    config = GPT2Config(**{"vocab_size": 4096, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4,
                           "bos_token_id": 0, "eos_token_id": 0, "resid_pdrop": dropout, "embd_pdrop": dropout,
                           "attn_pdrop": dropout, **changes})
    return GPT2LMHeadModel(config).eval()
