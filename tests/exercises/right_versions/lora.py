"""Right answers of lesson 14 in another style."""

import math

import torch


def in_place(d_in, d_out, r, generator):
    bound = 1 / math.sqrt(d_in)
    return torch.empty(d_in, r).uniform_(-bound, bound, generator=generator), torch.zeros(r, d_out)


def as_a_list(model):
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return [sum(n for n, trained in sizes if trained), sum(n for n, _ in sizes)]


RIGHT = {
    "lora.lora_init": [in_place],
    "lora.count_trainable": [as_a_list],
}
