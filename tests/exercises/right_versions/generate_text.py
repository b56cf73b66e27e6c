"""Right answers of lesson 12 in another style."""

import torch

# sample_loop


def probabilities_in_double_precision(model, ids, n, temperature, keep, draw):
    out = torch.zeros(len(ids), ids.shape[1] + n, dtype=ids.dtype)
    out[:, : ids.shape[1]] = ids
    for place in range(ids.shape[1], out.shape[1]):
        logits = model(out[:, :place])[:, -1] / temperature
        out[:, place] = draw(keep(logits).double().softmax(1))
    return out


# is_generation


def with_one_token_at_first(generate):
    def model(ids):
        sums = (ids * (1 + torch.arange(ids.shape[1]))).cumsum(1)
        return torch.nn.functional.one_hot((sums + 1) % 11, 11).float()

    for ids in (torch.tensor([[3]]), torch.tensor([[1, 2, 3], [4, 5, 6]])):
        for n in (1, 8):
            want = ids
            for _ in range(n):
                want = torch.cat([want, model(want)[:, -1].argmax(-1, keepdim=True)], 1)
            if not torch.equal(generate(model, ids.clone(), n), want):
                return False
    return True


RIGHT = {
    "generate_text.sample_loop": [probabilities_in_double_precision],
    "generate_text.is_generation": [with_one_token_at_first],
}
