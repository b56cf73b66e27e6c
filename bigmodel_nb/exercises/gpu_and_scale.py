"""Exercises of lesson 18."""

from __future__ import annotations

import statistics

import numpy as np

from .engine.model import Check, Exercise, Failed, Misconception, case_check

IGNORED = -100  # the label of a place where nothing is to be predicted


def median_seconds(fn, clock, synchronize, warmup=1, repeat=5):
    """Median time of a call of fn, after calls that don't count, with no work of others in it.

    fn: what is timed, a function without arguments; its work may go on after it has returned
    clock: returns the time now, in seconds; synchronize: returns when all work begun so far is done
    warmup: calls before the first timed one; repeat: timed calls, at least 1 -> float, seconds
    """
    for _ in range(warmup):
        fn()
    times = []
    for _ in range(repeat):
        synchronize()
        begun = clock()
        fn()
        synchronize()
        times.append(clock() - begun)
    return statistics.median(times)


def mfu(tokens_per_second, peak, n_layer, d_model, vocab_size, T):
    """Model FLOPs utilisation: the share of a machine's best rate that training a GPT-2 makes use of.

    tokens_per_second: measured, of training; peak: FLOPs a second of the machine's matrix products
    T: tokens in a row; every score of a row counts, the hidden ones too -> float, 1 is all of it
    """
    matrices = 12 * n_layer * d_model**2 + vocab_size * d_model
    attention = 2 * n_layer * T * d_model  # q k' and weights v
    flops = 3 * 2 * (matrices + attention)  # one forward pass, two backward; a multiply-add is 2
    return flops * tokens_per_second / peak


def estimate_memory(n_params, n_layer, d_model, vocab_size, B, T, checkpointing=False):
    """Bytes of a training step in float32 with AdamW -> {"parameters", "gradients", "optimiser state", "activations"}, ints.

    B rows of T tokens. For the backward pass a block keeps 16 d_model numbers a token, the head 2 d_model + vocab_size.
    With checkpointing a block keeps its input only, d_model; beside the inputs of all blocks stands what the head,
    or one block when it is computed again, keeps: the larger of the two.
    """
    block, head = 16 * d_model, 2 * d_model + vocab_size
    if checkpointing:
        kept = n_layer * d_model + max(block, head)
    else:
        kept = n_layer * block + head
    return {
        "parameters": 4 * n_params,
        "gradients": 4 * n_params,
        "optimiser state": 2 * 4 * n_params,
        "activations": 4 * B * T * kept,
    }


def accumulate_gradients(model, x, y, micro_batch):
    """Gradients of the mean loss over all labelled tokens, with micro_batch rows at a time -> the mean loss, a float.

    model: a torch module, ids (B, T) -> logits (B, T, V); x, y: int64 tensors (B, T); y is -100 where nothing is to be
    predicted, but not everywhere; micro_batch: 1 or more. Afterwards .grad of every parameter holds its gradient,
    whatever it held before.
    """
    import torch.nn.functional as F

    model.zero_grad()
    count = (y != -100).sum()
    total = 0.0
    for rows, labels in zip(x.split(micro_batch), y.split(micro_batch)):
        logits = model(rows)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / count
        loss.backward()
        total += loss.item()
    return total


def accumulation_is_right(accumulate, model, x, y):
    """True if gradients in small parts are those of the whole batch; differences below 1e-5 are rounding -> bool.

    accumulate(model, x, y, micro_batch) -> mean loss, with the gradients left in .grad of the parameters: what you test
    model: a torch module, ids (B, T) -> logits (B, T, V); x, y: int64 tensors (B, T), B at least 3, y with -100 where
    nothing is to be predicted. Loss and every entry of the gradients must be right, whatever .grad held before.
    """
    import torch.nn.functional as F

    model.zero_grad()
    right = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    right.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    for micro_batch in range(1, len(x) + 1):
        loss = accumulate(model, x, y, micro_batch)
        if not abs(loss - right.item()) <= 1e-5:  # nan, too, is wrong
            return False
        for p, gradient in zip(model.parameters(), gradients):
            if not (p.grad - gradient).abs().max() <= 1e-5:
                return False
    return True


def all_reduce_mean(gradients, counts):
    """The gradient of the mean loss over all workers' tokens, from each worker's own -> one list, arrays or tensors as theirs.

    gradients: one list of arrays or tensors for each worker, the gradients of the mean loss over the tokens of that
    worker, NaN where it had none; counts: each worker's tokens, whole numbers, not all of them 0
    """
    total = sum(counts)
    mean = [0.0 for _ in gradients[0]]
    for own, count in zip(gradients, counts):
        if count > 0:
            mean = [m + count / total * g for m, g in zip(mean, own)]
    return mean


# median_seconds


class Machine:
    """A device with a clock of its own: `fn` queues work and returns, and the work goes on meanwhile."""

    def __init__(self, durations, launch, backlog):
        self.durations, self.launch, self.calls = durations, launch, 0
        self.now, self.busy_until = 100.0, 100.0 + backlog

    def fn(self):
        self.now += self.launch
        duration = self.durations[min(self.calls, len(self.durations) - 1)]
        self.busy_until = max(self.now, self.busy_until) + duration
        self.calls += 1

    def clock(self):
        return self.now

    def synchronize(self):
        self.now = max(self.now, self.busy_until)


def _on_machine(work, durations, launch, backlog, warmup, repeat):
    machine = Machine(durations, launch, backlog)
    seconds = work(machine.fn, machine.clock, machine.synchronize, warmup, repeat)
    return seconds, machine.calls


def _machine_arguments(durations, launch, backlog, warmup, repeat):
    machine = Machine(durations, launch, backlog)
    return machine.fn, machine.clock, machine.synchronize, warmup, repeat


def _seconds_oracle(durations, launch, backlog, warmup, repeat):
    """The middle of the durations that count, and the number of calls."""
    counted = sorted(durations[min(i, len(durations) - 1)] for i in range(warmup, warmup + repeat))
    middle = (counted[(repeat - 1) // 2] + counted[repeat // 2]) / 2
    return launch + middle, warmup + repeat


def _seconds_sample(rng):
    durations = tuple(float(d) for d in rng.integers(8, 200, 12) / 16)
    backlog = float(rng.integers(0, 200) / 16)
    return durations, float(rng.integers(1, 8) / 16), backlog, int(rng.integers(0, 4)), int(rng.integers(1, 7))


def _seconds_probes():
    return [
        ((40.0, 4.0, 9.0, 1.0, 2.0, 6.0, 3.0, 30.0), 0.25, 0.0, 1, 5),
        ((40.0, 24.0, 5.0, 2.0, 3.0, 12.0, 7.0, 30.0, 1.0), 0.5, 17.0, 2, 4),
        ((5.0, 11.0, 2.0), 0.25, 50.0, 0, 1),
        ((30.0, 20.0, 10.0, 1.0, 8.0, 3.0), 0.125, 9.0, 3, 3),
        ((7.0, 3.0, 3.5, 2.0, 4.0), 0.25, 6.0, 0, 2),
    ]


def _timed(reduce=statistics.median, warm=True, before=True, after=True, together=False):
    """median_seconds with a part changed; `together`: one look at the clock for all calls."""

    def wrong(fn, clock, synchronize, warmup=1, repeat=5):
        for _ in range(warmup if warm is True else int(warm)):
            fn()
        times = []
        for _ in range(1 if together else repeat):
            if before:
                synchronize()
            begun = clock()
            for _ in range(repeat if together else 1):
                fn()
            if after:
                synchronize()
            times.append((clock() - begun) / (repeat if together else 1))
        return reduce(times)

    return wrong


def _warm_up_counted(fn, clock, synchronize, warmup=1, repeat=5):
    return median_seconds(fn, clock, synchronize, 0, warmup + repeat)


_SECONDS_MISCONCEPTIONS = (
    Misconception(
        "no_warm_up",
        _timed(warm=0),
        "Your first timed call is the very first call. It also pays for loading and reserving: call fn "
        "`warmup` times before you look at the clock.",
    ),
    Misconception(
        "warm_up_counted",
        _warm_up_counted,
        "You take the time of the warm-up calls too. They are there to be left out.",
    ),
    Misconception(
        "always_one_warm_up",
        _timed(warm=1),
        "You warm up once whatever `warmup` says.",
    ),
    Misconception(
        "end_not_awaited",
        _timed(after=False),
        "You stop the clock when fn has returned. Its work goes on: what must happen before the second "
        "look at the clock?",
        also=(_timed(before=False, after=False),),
    ),
    Misconception(
        "start_not_awaited",
        _timed(before=False),
        "Work that was begun before is still running when your clock starts, and you count it. Wait for "
        "it first.",
    ),
    Misconception(
        "mean",
        _timed(statistics.mean),
        "That is the mean. One call that was interrupted moves it; the median stays.",
    ),
    Misconception(
        "minimum",
        _timed(min),
        "That is the shortest time. Wanted is the middle one.",
    ),
    Misconception(
        "maximum",
        _timed(max),
        "That is the longest time. Wanted is the middle one.",
    ),
    Misconception(
        "total",
        _timed(sum),
        "That is the time of all calls together.",
    ),
    Misconception(
        "all_together_divided",
        _timed(together=True, reduce=lambda times: times[0]),
        "You time all calls together and divide by their number: that is their mean. Look at the clock "
        "before and after each call, and take the middle one.",
    ),
    Misconception(
        "last_only",
        _timed(lambda times: times[-1]),
        "You return the last time. Keep them all and take the middle one.",
    ),
    Misconception(
        "first_only",
        _timed(lambda times: times[0]),
        "You return the first time. Keep them all and take the middle one.",
    ),
    Misconception(
        "upper_middle",
        _timed(statistics.median_high),
        "With an even number of calls two times stand in the middle: the median is their mean.",
        also=(_timed(statistics.median_low),),
    ),
    Misconception(
        "not_sorted",
        _timed(lambda times: times[len(times) // 2]),
        "You take the middle of the list as it came. Sort it first.",
    ),
)


# mfu


def _mfu_oracle(tokens_per_second, peak, n_layer, d_model, vocab_size, T):
    """Every product of one row, forward and backward, one by one."""
    C = d_model
    products = [(T, C, vocab_size)]  # (m, k, n): (m, k) with (k, n)
    for _ in range(n_layer):
        products += [(T, C, 3 * C), (T, C, C), (T, C, 4 * C), (T, 4 * C, C)]
        products += [(T, C, T), (T, T, C)]  # all heads together
    row = 0
    for m, k, n in products:
        row += 2 * m * k * n  # forward
        row += 2 * m * n * k + 2 * k * m * n  # gradient of the left factor, and of the right one
    return row / T * tokens_per_second / peak


def _mfu_sample(rng):
    sizes = (int(rng.integers(1, 13)), int(rng.integers(2, 20)) * 16, int(rng.integers(100, 5000)), int(rng.integers(8, 600)))
    return float(rng.integers(100, 5000)), float(rng.integers(1, 900)) * 1e9, *sizes


_mfu_random = [_mfu_sample(np.random.default_rng(seed)) for seed in range(21, 29)]


def _check_mfu_linear(attempt):
    case = (1000.0, 1e11, 6, 256, 4096, 128)
    right = _mfu_oracle(*case)
    attempt.expect((2000.0, *case[1:]), 2 * right, "Twice the tokens a second, twice the share.")
    attempt.expect((case[0], 4e11, *case[2:]), right / 4, "The same work on a machine four times as fast.")


def _mfu_probes():
    return [(3000.0, 1.8e11, 6, 256, 4096, 128), (150.0, 9e10, 12, 768, 50257, 1024), (5e4, 1e12, 2, 64, 300, 512)]


def _share(passes=3, per_product=2, attention=lambda L, C, T: 2 * L * T * C, head=lambda V, C: V * C,
           matrices=lambda L, C: 12 * L * C * C, result=lambda flops, speed, peak: flops * speed / peak):
    """mfu with a part changed."""

    def wrong(tokens_per_second, peak, n_layer, d_model, vocab_size, T):
        flops = matrices(n_layer, d_model) + head(vocab_size, d_model) + attention(n_layer, d_model, T)
        return result(passes * per_product * flops, tokens_per_second, peak)

    return wrong


_MFU_MISCONCEPTIONS = (
    Misconception(
        "forward_only",
        _share(passes=1),
        "You count the forward pass only. The backward pass makes two products of each: one for the "
        "gradient of each factor.",
    ),
    Misconception(
        "backward_once",
        _share(passes=2),
        "You count the backward pass like a forward pass. It makes two products for each one there.",
    ),
    Misconception(
        "computed_again",
        _share(passes=4),
        "You count four passes. What checkpointing computes again is no work of the model: MFU leaves it "
        "out.",
    ),
    Misconception(
        "multiply_add_is_one",
        _share(per_product=1),
        "A multiplication and an addition are two operations, in the count of the peak too.",
    ),
    Misconception(
        "no_attention",
        _share(attention=lambda L, C, T: 0),
        "The scores and the mixing of the values are missing: 2 n_layer T d_model multiply-adds a token.",
    ),
    Misconception(
        "visible_scores_only",
        _share(attention=lambda L, C, T: L * T * C),
        "You count half of the scores. By the usual convention, and the docstring, the hidden ones count "
        "too.",
    ),
    Misconception(
        "scores_of_a_whole_row",
        _share(attention=lambda L, C, T: 2 * L * T * T * C),
        "T squared belongs to a whole row of T tokens. For one token it is T.",
    ),
    Misconception(
        "scores_in_one_layer",
        _share(attention=lambda L, C, T: 2 * T * C),
        "You count the scores of one layer. Each layer has its own.",
    ),
    Misconception(
        "no_head",
        _share(head=lambda V, C: 0),
        "The last product is missing: a logit for each word of the vocabulary.",
    ),
    Misconception(
        "head_twice",
        _share(head=lambda V, C: 2 * V * C),
        "You count the token table twice. At the input a row is looked up, nothing is multiplied.",
    ),
    Misconception(
        "one_block",
        _share(matrices=lambda L, C: 12 * C * C),
        "You count the matrices of one block. There are n_layer of them.",
    ),
    Misconception(
        "four_matrices_alike",
        _share(matrices=lambda L, C: 4 * L * C * C),
        "12 d_model squared a block: 3 for q, k, v, 1 for the output, 4 + 4 for the two layers of the MLP.",
    ),
    Misconception(
        "upside_down",
        _share(result=lambda flops, speed, peak: peak / (flops * speed)),
        "Yours is above 1 where the machine idles. What was used stands above, what is possible below.",
    ),
    Misconception(
        "per_cent",
        _share(result=lambda flops, speed, peak: 100 * flops * speed / peak),
        "Return the share itself: 0.4, not 40.",
    ),
    Misconception(
        "divided_by_speed",
        _share(result=lambda flops, speed, peak: flops / speed / peak),
        "Operations a token times tokens a second are operations a second. You divide.",
    ),
)


# estimate_memory


def _memory_oracle(n_params, n_layer, d_model, vocab_size, B, T, checkpointing=False):
    """The same from a list of everything that is kept, with its size."""
    tokens = B * T
    block = [1, 1, 3, 1, 1, 1, 4, 4]  # in d_model: x, norm, qkv, mixed, x, norm, wide, gelu
    of_block = tokens * d_model * sum(block)
    of_head = sum([tokens * d_model, tokens * d_model, tokens * vocab_size])
    if checkpointing:
        numbers = [tokens * d_model] * n_layer + [of_block if of_block > of_head else of_head]
    else:
        numbers = [of_block] * n_layer + [of_head]
    state = [n_params, n_params]
    return {
        "parameters": 4 * n_params,
        "gradients": 4 * n_params,
        "optimiser state": 4 * sum(state),
        "activations": 4 * sum(numbers),
    }


def _memory_sample(rng):
    L, C, V = int(rng.integers(1, 25)), int(rng.integers(2, 20)) * 8, int(rng.choice([50, 300, 2000, 5000]))
    sizes = (int(rng.integers(1000, 10**7)), L, C, V, int(rng.integers(1, 33)), int(rng.integers(1, 513)))
    return (*sizes, bool(rng.integers(2))) if rng.integers(3) else sizes


_memory_random = [_memory_sample(np.random.default_rng(seed)) for seed in range(31, 41)]
_memory_by_hand = [(1000, 2, 4, 10, 1, 1), (1000, 2, 4, 10, 3, 5)]
_memory_checkpoint = [(1000, 6, 8, 10, 2, 3, True), (1000, 6, 8, 500, 2, 3, True), (1000, 1, 8, 112, 1, 1, True)]


def _memory_probes():
    return [
        (5_853_184, 6, 256, 4096, 16, 128),
        (124_439_808, 12, 768, 50257, 2, 1024, True),
        (90_000, 4, 64, 300, 8, 32, True),
        (70_000, 3, 40, 700, 5, 7, False),
    ]


def _bytes(number=4, cell=4, states=2, tokens=lambda B, T: B * T, kept=lambda L, block, head: L * block + head,
           again=lambda L, C, block, head: L * C + max(block, head), head=lambda C, V: 2 * C + V, extra=0):
    """estimate_memory with a part changed; `extra`: what else is booked as optimiser state.

    number, cell: the bytes of a number that belongs to a parameter, and of an activation.
    """

    def wrong(n_params, n_layer, d_model, vocab_size, B, T, checkpointing=False):
        block, top = 16 * d_model, head(d_model, vocab_size)
        numbers = again(n_layer, d_model, block, top) if checkpointing else kept(n_layer, block, top)
        return {
            "parameters": number * n_params,
            "gradients": number * n_params,
            "optimiser state": (states + extra) * number * n_params,
            "activations": cell * tokens(B, T) * numbers,
        }

    return wrong


_MEMORY_MISCONCEPTIONS = (
    Misconception(
        "numbers_not_bytes",
        _bytes(number=1, cell=1),
        "You count numbers. A float32 has 4 bytes.",
        also=(_bytes(cell=1), _bytes(number=1)),
    ),
    Misconception(
        "half_precision",
        _bytes(number=2, cell=2),
        "You take 2 bytes a number. That is bfloat16; here everything is float32.",
    ),
    Misconception(
        "eight_bytes",
        _bytes(number=8, cell=8),
        "You take 8 bytes a number. That is float64; torch trains in float32.",
    ),
    Misconception(
        "one_running_mean",
        _bytes(states=1),
        "AdamW keeps two running means for each parameter: of the gradient and of its square.",
    ),
    Misconception(
        "optimiser_with_the_rest",
        _bytes(extra=2),
        "Under 'optimiser state' you book parameters and gradients once more. Only the running means "
        "belong there.",
        also=(_bytes(extra=1),),
    ),
    Misconception(
        "one_row",
        _bytes(tokens=lambda B, T: T),
        "You count the tokens of one row. There are B of them.",
    ),
    Misconception(
        "one_token_a_row",
        _bytes(tokens=lambda B, T: B),
        "You count one token a row. There are T.",
    ),
    Misconception(
        "one_block",
        _bytes(kept=lambda L, block, head: block + head),
        "Every block keeps its own numbers, not one of them.",
    ),
    Misconception(
        "no_head",
        _bytes(kept=lambda L, block, head: L * block, again=lambda L, C, block, head: L * C + block),
        "What the head keeps is missing. With a vocabulary of 50,257 that is more than three blocks.",
    ),
    Misconception(
        "no_logits",
        _bytes(head=lambda C, V: 2 * C),
        "The logits are missing: vocab_size numbers a token.",
    ),
    Misconception(
        "head_in_every_block",
        _bytes(kept=lambda L, block, head: L * (block + head)),
        "There is one head, after the last block.",
    ),
    Misconception(
        "checkpointing_ignored",
        _bytes(again=lambda L, C, block, head: L * block + head),
        "With checkpointing you give the same number as without.",
    ),
    Misconception(
        "no_block_computed_again",
        _bytes(again=lambda L, C, block, head: L * C + head),
        "With checkpointing a block is computed again in the backward pass, and then it keeps all of its "
        "numbers for a moment. Where that is more than the head's, it decides.",
    ),
    Misconception(
        "head_and_block_at_once",
        _bytes(again=lambda L, C, block, head: L * C + block + head),
        "The head's numbers are gone when the first block is computed again. The larger of the two counts, "
        "not the sum.",
    ),
    Misconception(
        "inputs_not_kept",
        _bytes(again=lambda L, C, block, head: max(block, head)),
        "To compute a block again its input must be there: d_model numbers for each block.",
    ),
    Misconception(
        "input_of_one_block",
        _bytes(again=lambda L, C, block, head: C + max(block, head)),
        "The input of every block is kept, not that of one.",
    ),
)


# accumulate_gradients


def _net(rng, V, C, stale=False):
    """A language model of two layers. Asked for it, it notes the most rows that it was given at once, and the most that
    it kept for backward()."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.tensor(rng.normal(size=(V, C))))
            self.out = torch.nn.Parameter(torch.tensor(rng.normal(size=(C, V))))
            self.bias = torch.nn.Parameter(torch.tensor(rng.normal(size=V)))
            self.stale, self.notes, self.most_rows, self.kept, self.most_kept = stale, False, 0, 0, 0

        def forward(self, ids):
            logits = self.table[ids] @ self.out + self.bias
            if self.notes:
                self.note(len(ids), logits)
            return logits

        def note(self, rows, logits):
            self.most_rows = max(self.most_rows, rows)
            if logits.requires_grad:
                self.kept += rows
                self.most_kept = max(self.most_kept, self.kept)
                logits.register_hook(self.let_go)

        def let_go(self, gradient):
            self.kept = 0

        def __repr__(self):
            return f"<a language model, ids (B, T) -> logits (B, T, {V})>"

    return Net()


def _rows(rng, labelled, T, V):
    """x and y (B, T); row i has labelled[i] labels, the rest are -100."""
    import torch

    x, y = (torch.tensor(rng.integers(0, V, (len(labelled), T))) for _ in range(2))
    for row, n in zip(y, labelled):
        row[n:] = IGNORED
    return x, y


def _accumulation_case(rng, labelled, micro_batch, T=5, V=7, C=3, stale=False):
    return _net(rng, V, C, stale), *_rows(rng, labelled, T, V), micro_batch


def _accumulated(work, model, x, y, micro_batch):
    """What the work leaves behind: loss, gradients, and the most rows that went through the model at once, and that
    it kept for backward()."""
    import torch

    for p in model.parameters():
        p.grad = torch.full_like(p, 0.5) if model.stale else None
    model.notes = True
    loss = work(model, x, y, micro_batch)
    if any(p.grad is None for p in model.parameters()):
        raise Failed("After your code a parameter has no gradient: .grad is None. Is backward() called?")
    return loss, [p.grad for p in model.parameters()], model.most_rows, model.most_kept


def _accumulation_oracle(model, x, y, micro_batch):
    """Softmax and its gradient by hand, one labelled token after the other."""
    import torch

    table, out, bias = (p.detach() for p in model.parameters())
    gradients = [torch.zeros_like(p) for p in (table, out, bias)]
    places = [(i, t) for i, t in np.ndindex(*y.shape) if y[i, t] != IGNORED]
    loss = 0.0
    for i, t in places:
        token, label = x[i, t], y[i, t]
        p = torch.softmax(table[token] @ out + bias, dim=0)
        loss -= float(torch.log(p[label])) / len(places)
        p[label] -= 1
        p /= len(places)
        gradients[0][token] += out @ p
        gradients[1] += torch.outer(table[token], p)
        gradients[2] += p
    return loss, gradients, min(micro_batch, len(x)), min(micro_batch, len(x))


def _accumulation_sample(rng):
    B = int(rng.integers(1, 8))
    labelled = [int(n) for n in rng.integers(1, 6, B)]
    return _accumulation_case(rng, labelled, int(rng.integers(1, B + 2)), stale=bool(rng.integers(2)))


def _check_accumulation(labelled, micro_batches, why, **how):
    def check(attempt):
        rng = np.random.default_rng(41)
        for micro_batch in micro_batches:
            case = _accumulation_case(rng, labelled, micro_batch, **how)
            attempt.expect(case, _accumulation_oracle(*case), why)

    return check


def _accumulation_probes():
    rng = np.random.default_rng(42)
    return [
        _accumulation_case(rng, [5, 2, 4, 1, 3], 2),
        _accumulation_case(rng, [5, 1, 3, 4, 2, 2], 3, stale=True),
        _accumulation_case(rng, [1, 5, 5], 1),
        _accumulation_case(rng, [3, 4, 2, 5], 3),
        _accumulation_case(rng, [3, 2, 5, 0], 1),
    ]


def _adding_up(scale=lambda y, part, m: 1 / (y != IGNORED).sum(), parts=lambda it, m: it.split(m), clear="first",
               returned=sum, backward="each"):
    """accumulate_gradients with a part changed; `scale`: what each part's summed loss is multiplied by."""

    def wrong(model, x, y, micro_batch):
        import torch.nn.functional as F

        if clear == "first":
            model.zero_grad()
        losses = []
        for rows, labels in zip(parts(x, micro_batch), parts(y, micro_batch)):
            if clear == "each":
                model.zero_grad()
            loss = F.cross_entropy(model(rows).flatten(0, 1), labels.flatten(), reduction="sum")
            loss = loss * scale(y, labels, micro_batch)
            if backward == "each":
                loss.backward()
            losses.append(loss)
        if backward == "end":
            sum(losses).backward()
        return returned([loss.item() for loss in losses])

    return wrong


def _of_part(y, part, m):
    return 1 / (part != IGNORED).sum()


_ACCUMULATION_MISCONCEPTIONS = (
    Misconception(
        "mean_of_means",
        _adding_up(lambda y, part, m: _of_part(y, part, m) / -(-len(y) // m)),
        "You average the means of the parts. A part with few labels then weighs as much as one with many: "
        "divide sums by the labels of the whole batch.",
    ),
    Misconception(
        "empty_part_poisons",
        _adding_up(lambda y, part, m: _of_part(y, part, m) * (part != IGNORED).sum() / (y != IGNORED).sum()),
        "The mean of a part without labels is nan, and 0 times nan is nan. Sum where you take the mean: the "
        "sum of no labels is 0.",
    ),
    Misconception(
        "sum_of_means",
        _adding_up(_of_part),
        "You add up the means of the parts. Your gradient grows with the number of parts.",
        also=(_adding_up(_of_part, returned=lambda losses: sum(losses) / len(losses)),),
    ),
    Misconception(
        "sum_not_mean",
        _adding_up(lambda y, part, m: 1),
        "These are sums over the labelled tokens; divide by their number.",
    ),
    Misconception(
        "last_part_only",
        _adding_up(clear="each"),
        "You clear the gradients before each part, so that only the last one is left.",
        also=(_adding_up(_of_part, clear="each", returned=lambda losses: losses[-1]),),
    ),
    Misconception(
        "old_gradients_kept",
        _adding_up(clear="never"),
        "backward() adds to what stands in .grad, here also to what was there before your call.",
    ),
    Misconception(
        "rest_dropped",
        _adding_up(parts=lambda it, m: it[: len(it) // m * m].split(m) if len(it) >= m else it.split(m)),
        "The rows that don't fill a part are missing.",
        also=(
            _adding_up(lambda y, part, m: 1 / (y[: len(y) // m * m or len(y)] != IGNORED).sum(),
                       lambda it, m: it[: len(it) // m * m].split(m) if len(it) >= m else it.split(m)),
        ),
    ),
    Misconception(
        "all_at_once",
        _adding_up(parts=lambda it, m: it.split(len(it))),
        "The numbers are right, but you put the whole batch through the model at once. That is what there "
        "is no memory for.",
    ),
    Misconception(
        "one_backward",
        _adding_up(backward="end"),
        "The numbers are right, but you call backward() once, after the last part: until then the "
        "activations of all parts are kept, and no memory is saved. Call it for each part.",
    ),
    Misconception(
        "number_of_parts",
        _adding_up(parts=lambda it, m: it.chunk(m)),
        "micro_batch is the number of rows in a part, not the number of parts.",
    ),
    Misconception(
        "places_not_labels",
        _adding_up(lambda y, part, m: 1 / y.numel()),
        "You divide by all places. Those with the label -100 are not predicted and don't count.",
    ),
    Misconception(
        "divided_by_rows",
        _adding_up(lambda y, part, m: 1 / len(y)),
        "You divide by the number of rows. The mean is one over labelled tokens.",
    ),
    Misconception(
        "loss_of_the_last_part",
        _adding_up(returned=lambda losses: losses[-1]),
        "The gradients are right; the loss is that of the last part. Add the losses up as well.",
    ),
    Misconception(
        "mean_of_the_losses",
        _adding_up(returned=lambda losses: sum(losses) / len(losses)),
        "The gradients are right. Your losses are divided by all labels already: add them, don't average.",
    ),
)


# accumulation_is_right

RIGHT = ("right", "row by row", "in one go", "rounded")
WRONG = (
    "mean of means", "sum of means", "last part only", "old gradients kept", "rest dropped", "places not labels",
    "loss of the last part", "loss slightly off", "one gradient off", "one gradient off in place", "slightly off",
    "nan in a gradient", "nan for a loss",
)  # fmt: skip
_FAULTS = {m.name.replace("_", " "): m.wrong for m in _ACCUMULATION_MISCONCEPTIONS}


def _whole_batch(model, x, y):
    """The mean loss, with its gradients in .grad, in one piece."""
    import torch.nn.functional as F

    model.zero_grad()
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    loss.backward()
    return loss


class Accumulate:
    """A way to accumulate, right or wrong, that a learner's test must judge."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, model, x, y, micro_batch):
        if self.kind in _FAULTS:
            return _FAULTS[self.kind](model, x, y, micro_batch)
        if self.kind == "in one go":
            return _whole_batch(model, x, y).item()
        before = [p.grad for p in model.parameters()]
        loss = accumulate_gradients(model, x, y, 1 if self.kind == "row by row" else micro_batch)
        bias = list(model.parameters())[-1]
        if self.kind == "rounded":
            bias.grad += 2e-6
        if self.kind.startswith("one gradient off"):
            bias.grad += 0.1
        if self.kind.endswith("in place"):
            for p, old in zip(model.parameters(), before):
                p.grad = p.grad if old is None else old.copy_(p.grad)
        if self.kind == "nan in a gradient" and micro_batch < len(x):
            bias.grad[0] = float("nan")
        if self.kind == "nan for a loss" and micro_batch < len(x):
            return float("nan")
        if self.kind == "slightly off":
            for p in model.parameters():
                p.grad += 2e-3
        return loss + (2e-3 if self.kind == "loss slightly off" else 0.0)

    def __repr__(self):
        return f"<a way to accumulate: {self.kind}>"


def _judged_case(rng, kind, labelled=(5, 1, 3, 4), T=5, V=7, C=3):
    return Accumulate(kind), _net(rng, V, C), *_rows(rng, labelled, T, V)


def _judged_sample(rng):
    kind = str(rng.choice(RIGHT + WRONG))
    B = int(rng.integers(3, 6))
    return _judged_case(rng, kind, [int(n) for n in rng.permutation(np.arange(1, 6))[:B]])


def _check_judged(kinds, right, why, rows=((5, 1, 3), (2, 5, 1, 3), (4, 1, 5, 2, 3))):
    def check(attempt):
        rng = np.random.default_rng(51)
        for kind in kinds:
            for labelled in rows:
                attempt.expect(_judged_case(rng, kind, labelled), right, why)

    return check


def _judged_probes():
    rng = np.random.default_rng(52)
    cases = [(kind, (5, 1, 3, 4)) for kind in RIGHT + WRONG] + [(kind, (2, 5, 1, 3, 4)) for kind in RIGHT + WRONG[:-2]]
    cases += [(kind, (5, 0, 3, 4)) for kind in ("right", "empty part poisons")]
    return [_judged_case(rng, kind, labelled) for kind, labelled in cases]


def _judging(sizes=lambda B: range(1, B + 1), whole_batch=_whole_batch, losses=True,
             parameters=lambda model: list(model.parameters()), limit=1e-5, clear=False, clone=True, nan_passes=()):
    """The right test with a part changed; `nan_passes`: "loss", "gradients", where one asks whether they are off."""

    def fine(apart, what):
        return not apart > limit if what in nan_passes else apart <= limit

    def wrong(accumulate, model, x, y):
        whole = whole_batch(model, x, y)
        gradients = [p.grad.clone() if clone else p.grad for p in parameters(model)]
        found = []
        for m in sizes(len(x)):
            if clear:
                model.zero_grad()
            loss = accumulate(model, x, y, m)
            found += [fine(float((p.grad - g).abs().max()), "gradients") for p, g in zip(parameters(model), gradients)]
            found.append(not losses or fine(abs(loss - float(whole)), "loss"))
        return all(found)

    return wrong


def _mean_over_places(model, x, y):
    loss = _whole_batch(model, x, y)
    share = (y != IGNORED).double().mean()
    for p in model.parameters():
        p.grad *= share
    return loss * share


def _judged_wrongly(name, hint, *hows):
    """A misconception from what `_judging` changes; each form also as one writes it who asks whether something is off."""
    forms = [_judging(**how, nan_passes=nan) for nan in ((), ("loss", "gradients")) for how in hows]
    return Misconception(name, forms[0], hint, also=tuple(forms[1:]))


_JUDGED_MISCONCEPTIONS = (
    Misconception(
        "answer_turned_round",
        lambda *case: not accumulation_is_right(*case),
        "You answer True for the faulty ones. What does the name of the test promise?",
    ),
    _judged_wrongly(
        "whole_batch_only",
        "With micro_batch = len(x) there is one part, and every fault is invisible. Ask for smaller parts.",
        {"sizes": lambda B: [B]},
    ),
    _judged_wrongly(
        "parts_of_equal_size_only",
        "Your parts always have the same number of rows. One who drops the rest passes your test.",
        {"sizes": lambda B: [m for m in range(1, B + 1) if B % m == 0]},
        {"sizes": lambda B: [1]},
    ),
    _judged_wrongly(
        "only_the_loss",
        "You compare losses. They can be right with wrong gradients.",
        {"parameters": lambda model: []},
    ),
    _judged_wrongly(
        "only_the_gradients",
        "You compare gradients. The loss that is returned can be another one.",
        {"losses": False},
    ),
    _judged_wrongly(
        "one_parameter_compared",
        "You compare the gradient of the first parameter only.",
        {"parameters": lambda model: list(model.parameters())[:1]},
    ),
    _judged_wrongly(
        "compared_exactly",
        "You ask for equality to the last bit. Sums in another order are rounded differently.",
        {"limit": 0.0},
    ),
    _judged_wrongly(
        "compared_too_coarsely",
        "A gradient that is off by two thousandths passes your test. Rounding is a thousand times smaller.",
        {"limit": 0.03},
    ),
    _judged_wrongly(
        "places_counted",
        "Your own gradient is wrong: it is divided by all places. Those with the label -100 don't count.",
        {"whole_batch": _mean_over_places},
    ),
    Misconception(
        "nan_let_through",
        _judging(nan_passes=("loss", "gradients")),
        "One that leaves nan passes your test: every comparison with nan is False, `>` as well. Ask whether the "
        "difference is small, with `<=`, and take everything else for wrong.",
        also=(_judging(nan_passes=("loss",)), _judging(nan_passes=("gradients",))),
    ),
    _judged_wrongly(
        "not_cloned",
        "You keep .grad itself. One that adds to it, or writes into it, changes what you compare with: keep a "
        "clone().",
        {"clone": False},
    ),
    _judged_wrongly(
        "gradients_cleared_for_it",
        "You clear the gradients before each call. One who forgets to do it himself passes your test.",
        {"clear": True},
    ),
)


# all_reduce_mean


def _workers(rng, counts, shapes=((3, 2), (4,))):
    gradients = [[rng.normal(size=shape) for shape in shapes] for _ in counts]
    for own, count in zip(gradients, counts):
        if not count:
            for g in own:
                g[...] = np.nan
    return gradients, list(counts)


def _workers_sample(rng):
    counts = [int(n) for n in rng.integers(0, 9, rng.integers(1, 5))]
    counts[int(rng.integers(len(counts)))] += 1
    return _workers(rng, counts)


def _reduce_oracle(gradients, counts):
    """The mean over tokens, each token with the gradient of its worker."""
    tokens = [worker for worker, count in enumerate(counts) for _ in range(count)]
    return [np.mean([gradients[worker][i] for worker in tokens], axis=0) for i in range(len(gradients[0]))]


def _check_reduce(counts, why, shapes=((3, 2), (4,))):
    def check(attempt):
        rng = np.random.default_rng(61)
        for some in counts:
            case = _workers(rng, some, shapes)
            attempt.expect(case, _reduce_oracle(*case), why)

    return check


def _check_reduce_regression(attempt):
    """Least squares on shards: the gradient must be that of all rows in one piece."""
    rng = np.random.default_rng(62)
    X, target, w = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=3)
    shards = [slice(0, 2), slice(2, 8), slice(8, 9)]
    own = [[2 * X[s].T @ (X[s] @ w - target[s]) / len(X[s])] for s in shards]
    whole = 2 * X.T @ (X @ w - target) / len(X)
    attempt.expect((own, [2, 6, 1]), [whole], "Least squares on 9 rows, of which the workers had 2, 6 and 1.")


def _check_reduce_nan(attempt):
    gradients, counts = _workers(np.random.default_rng(64), [2, 0, 3])
    gradients[2][0][1, 1] = np.nan
    why = "A worker with tokens had nan in one place: that must be seen, not hidden."
    attempt.expect((gradients, counts), _reduce_oracle(gradients, counts), why)


def _reduce_probes():
    rng = np.random.default_rng(63)
    return [_workers(rng, counts) for counts in ([3, 7], [5, 1, 2], [4, 0, 6], [2, 2])]


def _averaged(weights, skip_empty=True):
    """all_reduce_mean with other weights: a function of the counts."""

    def wrong(gradients, counts):
        shares = weights(np.array(counts, dtype=float))
        used = [(s, own) for s, own, n in zip(shares, gradients, counts) if n or not skip_empty]
        return [sum(s * own[i] for s, own in used) for i in range(len(gradients[0]))]

    return wrong


_REDUCE_MISCONCEPTIONS = (
    Misconception(
        "plain_mean",
        _averaged(lambda n: np.full(len(n), 1 / len(n)), skip_empty=False),
        "You average the workers. A worker with few tokens then counts as much as one with many: weigh "
        "each by its tokens.",
        also=(
            _averaged(lambda n: np.full(len(n), 1 / len(n))),
            _averaged(lambda n: np.full(len(n), 1 / (n > 0).sum())),
        ),
    ),
    Misconception(
        "empty_worker_poisons",
        _averaged(lambda n: n / n.sum(), skip_empty=False),
        "0 times nan is nan. A worker without tokens has no gradient: leave it out.",
    ),
    Misconception(
        "sum_of_workers",
        _averaged(np.ones_like),
        "You add the workers' gradients up. Each of them is a mean already.",
        also=(_averaged(np.ones_like, skip_empty=False),),
    ),
    Misconception(
        "not_divided",
        _averaged(lambda n: n),
        "You weigh by tokens and don't divide by the tokens of all workers.",
        also=(_averaged(lambda n: n, skip_empty=False),),
    ),
    Misconception(
        "divided_by_workers",
        _averaged(lambda n: n / len(n)),
        "You weigh by tokens and divide by the number of workers. What do the weights have to sum to?",
        also=(_averaged(lambda n: n / len(n), skip_empty=False), _averaged(lambda n: n / n.sum() / len(n))),
    ),
    Misconception(
        "weighed_the_wrong_way",
        _averaged(lambda n: 1 / np.maximum(n, 1) / (1 / np.maximum(n, 1)).sum()),
        "With you a worker with fewer tokens counts for more.",
        also=(_averaged(lambda n: np.where(n > 0, 1 / np.maximum(n, 1), 0) / (1 / n[n > 0]).sum()),),
    ),
    Misconception(
        "first_worker_only",
        lambda gradients, counts: gradients[0],
        "You return what the first worker has. All of them must end with the same gradient.",
    ),
    Misconception(
        "largest_worker_only",
        lambda gradients, counts: gradients[int(np.argmax(counts))],
        "You return the gradient of the worker with most tokens. The others' work is lost.",
    ),
)


EXERCISES = (
    Exercise(
        id="gpu_and_scale.median_seconds",
        reference=median_seconds,
        difficulty=2,
        minutes=10,
        section="Timing it right",
        returns=("seconds", "calls of fn"),
        hints=(
            "First `warmup` calls that nobody looks at. Then `repeat` calls, each between two looks at the "
            "clock.",
            "Before each look at the clock, wait: synchronize(), clock(), fn(), synchronize(), clock().",
            "Append each difference to a list and return statistics.median of it.",
        ),
        checks=(
            Check("one call", case_check([((9.0, 4.0), 0.5, 0.0, 1, 1), ((4.0,), 0.5, 0.0, 0, 1)], _seconds_oracle,
                                         "The call that counts takes 4.5 seconds.")),
            Check("warm-up", case_check([((9.0, 8.0, 2.0, 2.0, 2.0), 0.25, 0.0, 2, 3)], _seconds_oracle,
                                        "The first two calls take longer and must not count.")),
            Check("work begun before", case_check([((3.0, 3.0), 0.5, 20.0, 0, 1)], _seconds_oracle,
                                                  "When the clock starts, work for 20 seconds was waiting.")),
            Check("the median", case_check([((1.0, 5.0, 90.0, 4.0, 2.0, 3.0), 0.0, 0.0, 1, n) for n in (1, 2, 3, 4, 5)],
                                           _seconds_oracle)),
            Check("random machines", case_check([_seconds_sample(np.random.default_rng(s)) for s in range(12)],
                                                _seconds_oracle)),
        ),
        misconceptions=_SECONDS_MISCONCEPTIONS,
        probes=_seconds_probes,
        sample=_seconds_sample,
        drive=_on_machine,
        arguments=_machine_arguments,
    ),
    Exercise(
        id="gpu_and_scale.mfu",
        reference=mfu,
        difficulty=2,
        minutes=8,
        section="How much of the machine?",
        hints=(
            "Operations a token, times tokens a second, over the peak.",
            "Multiply-adds of one token in the forward pass: 12 n_layer d_model^2 + vocab_size d_model + "
            "2 n_layer T d_model.",
            "Each is 2 operations, and training takes 3 times the forward pass: 6 * (...) * "
            "tokens_per_second / peak.",
        ),
        checks=(
            Check("one layer, by hand", case_check([(1.0, 1.0, 1, 1, 1, 1), (1.0, 1.0, 1, 2, 3, 5)], _mfu_oracle)),
            Check("the pocket", case_check([(3000.0, 1.8e11, 6, 256, 4096, 128)], _mfu_oracle)),
            Check("random models", case_check(_mfu_random, _mfu_oracle)),
            Check("speed and peak", _check_mfu_linear),
        ),
        misconceptions=_MFU_MISCONCEPTIONS,
        probes=_mfu_probes,
        sample=_mfu_sample,
    ),
    Exercise(
        id="gpu_and_scale.estimate_memory",
        reference=estimate_memory,
        difficulty=3,
        minutes=12,
        section="What fills the memory?",
        hints=(
            "The first three parts depend on n_params only. A float32 has 4 bytes, and AdamW keeps two of "
            "them for each parameter.",
            "Activations: numbers a token, times B T tokens, times 4 bytes. Without checkpointing: "
            "n_layer * 16 * d_model + 2 * d_model + vocab_size.",
            "With checkpointing: n_layer * d_model + max(16 * d_model, 2 * d_model + vocab_size).",
        ),
        checks=(
            Check("by hand", case_check(_memory_by_hand, _memory_oracle)),
            Check("checkpointing", case_check(_memory_checkpoint, _memory_oracle,
                                              "With checkpointing, the larger of block and head counts.")),
            Check("the pocket", case_check([(5_853_184, 6, 256, 4096, 16, 128)], _memory_oracle)),
            Check("random models", case_check(_memory_random, _memory_oracle)),
        ),
        misconceptions=_MEMORY_MISCONCEPTIONS,
        probes=_memory_probes,
        sample=_memory_sample,
    ),
    Exercise(
        id="gpu_and_scale.accumulate_gradients",
        reference=accumulate_gradients,
        difficulty=3,
        minutes=15,
        section="Small parts, the same gradient",
        returns=("loss", "gradients", "rows at once", "rows kept for backward()"),
        hints=(
            "Clear the gradients once. Then, part by part, forward and backward: backward() adds to what is "
            "there.",
            'F.cross_entropy(..., reduction="sum") leaves out the places with -100. Divide by what, so that '
            "the parts add up to the mean over the whole batch?",
            "count = (y != -100).sum() of the whole y; for each part (sum / count).backward(); return the "
            "sum of these losses as a float, with .item().",
        ),
        checks=(
            Check("a smaller last part", _check_accumulation((5, 5, 5, 5, 5), (2, 3, 4), "The last part has fewer rows.")),
            Check("unequal labels", _check_accumulation((5, 1, 2, 4, 3), (1, 2, 3), "The parts differ in labels.")),
            Check("a part without labels", _check_accumulation((4, 2, 3, 0), (1, 2), "The last row has no label.")),
            Check("one part", _check_accumulation((4, 4), (2, 5), "All rows fit in one part.")),
            Check("equal parts", _check_accumulation((5, 5, 5, 5), (1, 2), "All parts have as many labels.")),
            Check("old gradients", _check_accumulation((2, 5, 1), (2,), "Gradients stood in .grad before.", stale=True)),
        ),
        misconceptions=_ACCUMULATION_MISCONCEPTIONS,
        probes=_accumulation_probes,
        sample=_accumulation_sample,
        drive=_accumulated,
        may_change_arguments=True,
    ),
    Exercise(
        id="gpu_and_scale.accumulation_is_right",
        reference=accumulation_is_right,
        difficulty=3,
        minutes=15,
        section="A test that finds a wrong accumulation",
        hints=(
            "Make your own loss and gradients of the whole batch first, and keep clones of them: .grad is "
            "overwritten.",
            "Then ask for parts of every size from 1 to len(x). Compare the loss and the gradient of every "
            "parameter, within 1e-5.",
            "right = F.cross_entropy(model(x).flatten(0, 1), y.flatten()) is a mean over the labelled "
            "places. Don't clear the gradients for the function that you test: that is its task.",
        ),
        checks=(
            Check("right ones", _check_judged(("right", "row by row", "in one go"), True, "This one accumulates rightly.")),
            Check("rounding", _check_judged(("rounded",), True, "This one is right but for rounding.")),
            Check("wrong weights", _check_judged(("mean of means", "sum of means", "places not labels"), False,
                                                 "This one weighs its parts wrongly.")),
            Check("a row without labels", _check_judged(("right",), True, "This one accumulates rightly.",
                                                        [(5, 0, 3)])),
            Check("nan for it", _check_judged(("empty part poisons",), False, "A row has no label, and this one makes nan of it.",
                                              [(5, 0, 3), (0, 4, 1, 2)])),
            Check("nan", _check_judged(("nan in a gradient", "nan for a loss"), False, "This one leaves nan.", [(2, 5, 1, 3)])),
            Check("lost or kept", _check_judged(("last part only", "rest dropped", "old gradients kept"), False,
                                                "This one loses a part, or adds to old gradients.")),
            Check("small faults", _check_judged(("loss of the last part", "loss slightly off", "one gradient off", "slightly off"),
                                                False, "This one is wrong in one place, or by little.",
                                                [(2, 5, 1, 3), (4, 1, 5, 2, 3)])),
        ),
        misconceptions=_JUDGED_MISCONCEPTIONS,
        probes=_judged_probes,
        sample=_judged_sample,
    ),
    Exercise(
        id="gpu_and_scale.all_reduce_mean",
        reference=all_reduce_mean,
        difficulty=2,
        minutes=8,
        section="Two workers",
        hints=(
            "Each worker's gradient is a mean over its own tokens. How does a mean over all tokens follow?",
            "Weigh each worker by its share of the tokens: count / sum(counts). A worker without tokens has "
            "nan, so leave it out.",
            "For each array i: sum(count / total * own[i] for own, count in zip(gradients, counts) if count)",
        ),
        checks=(
            Check("unequal shards", _check_reduce([[1, 3], [9, 1], [2, 5, 3]], "The workers had unequal shares.")),
            Check("equal shards", _check_reduce([[4, 4], [1, 1, 1]], "All workers had as many tokens.")),
            Check("a worker without tokens", _check_reduce([[0, 5], [3, 0, 4]], "One worker had no token.")),
            Check("a real nan", _check_reduce_nan),
            Check("one worker", _check_reduce([[6]], "A single worker.", shapes=((2,), (2, 2), ()))),
            Check("least squares in one piece", _check_reduce_regression),
        ),
        misconceptions=_REDUCE_MISCONCEPTIONS,
        probes=_reduce_probes,
        sample=_workers_sample,
    ),
)
