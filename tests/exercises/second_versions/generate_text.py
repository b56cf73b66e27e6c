"""Each misconception once more, in another style and with other names."""

import math

import torch

INF = float("inf")

# greedy_step: text by text, as lists


def texts(grow):
    """grow(read, text) -> the new text; read(text) -> a list of logits for each place."""

    def step(net, batch):
        read = lambda text: net(torch.tensor([text]))[0].tolist()  # noqa: E731
        return torch.tensor([grow(read, text) for text in batch.tolist()])

    return step


def top(row):
    return max(range(len(row)), key=row.__getitem__)


def shared_choice(net, batch):
    token = int(torch.argmax(net(batch)[0, -1]))
    return torch.tensor([[*text, token] for text in batch.tolist()])


# top_k_filter and top_p_filter: row by row


def rowwise(change):
    def work(z, limit):
        rows = [change(row, limit) for row in z.reshape(-1, z.shape[-1])]
        return torch.stack(rows).view(*z.shape[:-1], -1)

    return work


def pick(row, places, rest=-INF):
    out = torch.full_like(row, rest)
    for i in places:
        out[i] = row[i]
    return out


def ranked(row, down=True):
    return sorted(range(len(row)), key=lambda i: float(row[i]), reverse=down)


def at_least(row, limit, rest=-INF):
    return pick(row, [i for i in range(len(row)) if row[i] >= limit], rest)


def k_limit(row, k):
    return float(row[ranked(row)[min(k, len(row)) - 1]])


def by_columns(z, k):
    size = z.shape[-2]
    columns = z.transpose(-1, -2)
    limit = columns.sort(dim=-1, descending=True).values[..., min(k, size) - 1 : min(k, size)]
    return torch.where(columns < limit, torch.tensor(-INF, dtype=z.dtype), columns).transpose(-1, -2)


def everything_at_once(rule):
    return lambda z, limit: rule(z.flatten(), limit).view(z.shape)


def nucleus(row, p, order=None, chances=None, stop_before=False):
    chances = torch.softmax(row, 0).tolist() if chances is None else chances
    total, kept = 0.0, []
    for i in ranked(row) if order is None else order:
        if stop_before and total + chances[i] > p:
            break
        if total >= p:
            break
        kept.append(i)
        total += chances[i]
    return kept


def by_place(row, p):
    """The mask of the sorted list, read as if it were in the order of the vocabulary."""
    return pick(row, range(len(nucleus(row, p))))


def twice_ordered(row, p):
    order, many = ranked(row), len(nucleus(row, p))
    return pick(row, [i for i in range(len(row)) if order[i] < many])


def logit_sum(row, p):
    """Keeps a token while the logits before it sum to less than p."""
    total, kept = 0.0, []
    for i in ranked(row):
        if total < p:
            kept.append(i)
        total += float(row[i])
    return pick(row, kept)


# sample_loop


def run(q_of, read=None, at=-1, rounds=0, choose=None, grow=None, only_new=False):
    """A loop that keeps its tokens in lists; q_of(logits, temperature, keep) -> what is drawn from."""

    def loop(net, prompt, n, temperature, keep, draw):
        text = prompt
        for _ in range(n + rounds):
            z = net(text if read is None else read(text, prompt))[:, at, :]
            q = q_of(z, temperature, keep)
            token = draw(q) if choose is None else choose(q)
            text = torch.hstack([text if grow is None else grow(text), token.view(-1, 1)])
        return text[:, prompt.shape[1] :] if only_new else text

    return loop


def usual(z, heat, keep):
    return torch.softmax(keep(z / heat), dim=1)


def down_the_rows(z, heat, keep):
    return torch.softmax(keep(z.div(heat)), dim=0)


# repetition_penalty: with sets


def with_sets(new, told=None, prepare=None):
    """new(z, penalty) for each token of told(row number, texts)."""

    def work(z, texts, penalty):
        z = z.clone() if prepare is None else prepare(z)
        texts = texts.tolist()
        for b in range(len(texts)):
            for token in set(texts[b]) if told is None else told(b, texts, z.shape[1]):
                z[b, token] = new(float(z[b, token]), penalty)
        return z

    return work


def lower(z, penalty):
    return z / penalty if z > 0 else z * penalty


def higher(z, penalty):
    return z * penalty if z > 0 else z / penalty


def counted(z, texts, penalty):
    z = z.clone()
    for b, text in enumerate(texts.tolist()):
        for token in text:
            z[b, token] = lower(float(z[b, token]), penalty)
    return z


def shares(z, texts, penalty):
    q = torch.exp(z) / torch.exp(z).sum(1, keepdim=True)
    for b, text in enumerate(texts.tolist()):
        for token in set(text):
            q[b, token] /= penalty
    return q / q.sum(1, keepdim=True)


# beam_step: a list of all continuations


def listed(step=None, total=None, order=-1, hand=None, parent=None):
    """step(row of logits) -> list; total(score, step); hand(total, step, length): the score handed on."""

    def work(ids, so_far, z, k):
        found = []
        for h in range(len(ids)):
            steps = (step or log_p)(z[h].tolist())
            for token, part in enumerate(steps):
                whole = so_far[h].item() + part if total is None else total(so_far[h].item(), part)
                found.append((whole, part, h, token))
        found.sort(key=lambda entry: order * entry[0])
        rows, scores = [], []
        for place, (whole, part, h, token) in enumerate(found[:k]):
            rows.append(ids[h if parent is None else parent(place, h) % len(ids)].tolist() + [token])
            scores.append(whole if hand is None else hand(whole, part, ids.shape[1]))
        return torch.tensor(rows), torch.tensor(scores, dtype=so_far.dtype)

    return work


def log_p(row):
    high = max(row)
    total = high + math.log(sum(math.exp(z - high) for z in row))
    return [z - total for z in row]


def best_last(ids, so_far, z, k):
    rows, scores = listed()(ids, so_far, z, k)
    return rows.flipud(), scores.flip(0)


def chances(ids, so_far, z, k):
    table = so_far.exp()[:, None] * torch.softmax(z, 1)
    order = table.flatten().argsort(descending=True)[:k]
    h, token = order // z.shape[1], order % z.shape[1]
    return torch.hstack([ids[h], token[:, None]]), table.flatten()[order].log()


def own_best(ids, so_far, z, k):
    found = []
    for h in range(len(ids)):
        steps = log_p(z[h].tolist())
        found.append((so_far[h].item() + max(steps), [*ids[h].tolist(), top(steps)]))
    found.sort(key=lambda entry: -entry[0])
    return torch.tensor([row for _, row in found[:k]]), torch.tensor([s for s, _ in found[:k]], dtype=so_far.dtype)


def leader_only(ids, so_far, z, k):
    h = top(so_far.tolist())
    steps = log_p(z[h].tolist())
    tokens = sorted(range(len(steps)), key=lambda i: -steps[i])[:k]
    rows = torch.tensor([[*ids[h].tolist(), i] for i in tokens])
    return rows, torch.tensor([so_far[h].item() + steps[i] for i in tokens], dtype=so_far.dtype)


def split_by_k(ids, so_far, z, k):
    table = so_far[:, None] + torch.log_softmax(z, 1)
    flat = table.reshape(-1)
    places = torch.argsort(flat, descending=True)[:k]
    h = torch.div(places, k, rounding_mode="floor") % len(ids)
    return torch.hstack([ids[h], torch.remainder(places, k)[:, None]]), flat[places]


def joint(ids, so_far, z, k):
    whole = torch.log(torch.exp(z).sum())
    return listed(step=lambda row: [a - whole.item() for a in row])(ids, so_far, z, k)


# is_generation: a model of a dictionary kind


def sums_model(batch):
    rows = []
    for text in batch.tolist():
        so_far, row = 0, []
        for place, token in enumerate(text):
            so_far += (place + 2) * token
            row.append([float(i == so_far % 17) for i in range(17)])
        rows.append(row)
    return torch.tensor(rows)


def bigram_model(batch):
    return torch.nn.functional.one_hot((batch * 5 + 2) % 17, 17).double()


def continued(net, texts, n):
    out = [list(text) for text in texts]
    for _ in range(n):
        logits = net(torch.tensor(out))
        out = [text + [top(row[-1].tolist())] for text, row in zip(out, logits)]
    return out


TEXTS = [[2, 7, 1, 8, 2, 8], [3, 1, 4, 1, 5, 9]]


def trial(good, texts=TEXTS, sizes=(1, 3, 8), net=sums_model):
    """good(what generate gave, what is right, the prompt), all as lists."""

    def test(generate):
        for n in sizes:
            given = generate(net, torch.tensor(texts), n).tolist()
            if not good(given, continued(net, texts, n), texts):
                return False
        return True

    return test


def same(given, right, texts):
    return given == right


def lengths(given, right, texts):
    return [len(a) for a in given] == [len(b) for b in right]


def beginnings(given, right, texts):
    return [a[: len(t)] for a, t in zip(given, texts)] == texts


def endings(given, right, texts):
    many = [len(b) - len(t) for b, t in zip(right, texts)]
    return [a[-n:] for a, n in zip(given, many)] == [b[-n:] for b, n in zip(right, many)]


def self_consistent(given, right, texts):
    best = sums_model(torch.tensor(given)).argmax(-1).tolist()
    return lengths(given, right, texts) and [b[:-1] for b in best] == [a[1:] for a in given]


def echo(given, right, texts):
    return given == sums_model(torch.tensor(texts)).argmax(-1).tolist()


def opposite(generate):
    return not trial(same)(generate)


VERSIONS = {
    "generate_text.greedy_step": {
        "argmax_over_the_prompt": [texts(lambda read, text: [top(row) for row in read(text)])],
        "first_place": [texts(lambda read, text: [*text, top(read(text)[0])])],
        "one_place_too_early": [texts(lambda read, text: [*text, top(read(text)[len(text) - 2])])],
        "token_without_its_text": [texts(lambda read, text: [top(read(text)[-1])])],
        "first_token_dropped": [texts(lambda read, text: [*text[1:], top(read(text)[-1])])],
        "last_token_replaced": [texts(lambda read, text: [*text[:-1], top(read(text)[-1])])],
        "put_in_front": [texts(lambda read, text: [top(read(text)[-1]), *text])],
        "only_the_last_token_read": [texts(lambda read, text: [*text, top(read(text[-1:])[0])])],
        "least_probable": [texts(lambda read, text: [*text, top([-z for z in read(text)[-1]])])],
        "one_token_for_all_rows": [shared_choice],
    },
    "generate_text.top_k_filter": {
        "zero_for_the_rest": [rowwise(lambda row, k: at_least(row, k_limit(row, k), 0.0))],
        "a_large_number_for_infinity": [rowwise(lambda row, k: at_least(row, k_limit(row, k), -1e9))],
        "the_kth_dropped": [rowwise(lambda row, k: pick(row, [i for i in range(len(row)) if float(row[i]) > k_limit(row, k)]))],
        "one_too_many": [rowwise(lambda row, k: at_least(row, k_limit(row, k + 1)))],
        "one_limit_for_all_rows": [everything_at_once(lambda row, k: at_least(row, k_limit(row, k)))],
        "along_the_wrong_axis": [by_columns],
        "the_smallest_kept": [rowwise(lambda row, k: -at_least(-row, k_limit(-row, k), INF))],
        "the_largest_dropped": [rowwise(lambda row, k: pick(row, [i for i in range(len(row)) if float(row[i]) < k_limit(row, k)]))],
        "the_others_cut_off": [rowwise(lambda row, k: row[ranked(row)[:k]])],
        "left_in_sorted_order": [rowwise(lambda row, k: at_least(row, k_limit(row, k))[ranked(row)])],
        "argsort_taken_for_ranks": [rowwise(lambda row, k: pick(row, [i for i in range(len(row)) if int(row.argsort(descending=True)[i]) < k]))],
        "probabilities_returned": [rowwise(lambda row, k: torch.softmax(at_least(row, k_limit(row, k)), 0))],
        "equal_ones_dropped": [rowwise(lambda row, k: pick(row, ranked(row)[:k]))],
    },
    "generate_text.top_p_filter": {
        "crossing_token_dropped": [rowwise(lambda row, p: pick(row, nucleus(row, p, stop_before=True)))],
        "not_sorted": [rowwise(lambda row, p: pick(row, nucleus(row, p, order=range(len(row)))))],
        "mask_not_put_back": [rowwise(by_place)],
        "gathered_instead_of_scattered": [rowwise(twice_ordered)],
        "left_in_sorted_order": [rowwise(lambda row, p: pick(row, nucleus(row, p))[ranked(row)])],
        "one_minus_p": [rowwise(lambda row, p: pick(row, nucleus(row, 1 - p)))],
        "least_probable_first": [rowwise(lambda row, p: pick(row, nucleus(row, p, order=ranked(row, False))))],
        "each_token_by_itself": [rowwise(lambda row, p: pick(row, [i for i, q in enumerate(torch.softmax(row, 0)) if q >= p]))],
        "logits_added_up": [rowwise(logit_sum)],
        "one_nucleus_for_all_rows": [everything_at_once(lambda row, p: pick(row, nucleus(row, p)))],
        "zero_for_the_rest": [rowwise(lambda row, p: pick(row, nucleus(row, p), 0.0))],
        "probabilities_returned": [rowwise(lambda row, p: torch.softmax(pick(row, nucleus(row, p)), 0))],
    },
    "generate_text.sample_loop": {
        "temperature_multiplied": [run(lambda z, heat, keep: torch.softmax(keep(heat * z), 1))],
        "temperature_after_the_filter": [run(lambda z, heat, keep: torch.softmax(keep(z) / heat, 1))],
        "temperature_on_probabilities": [run(lambda z, heat, keep: torch.softmax(keep(z), 1).div(heat))],
        "temperature_left_out": [run(lambda z, heat, keep: torch.softmax(keep(z), 1))],
        "filter_left_out": [run(lambda z, heat, keep: torch.softmax(z / heat, 1))],
        "filter_after_the_softmax": [run(lambda z, heat, keep: keep(torch.softmax(z / heat, 1)))],
        "logits_given_to_draw": [run(lambda z, heat, keep: keep(z / heat))],
        "softmax_over_the_rows": [run(down_the_rows)],
        "new_tokens_not_read": [run(usual, read=lambda text, prompt: prompt)],
        "only_the_last_token_read": [run(usual, read=lambda text, prompt: text[:, [-1]])],
        "first_place": [run(usual, at=0)],
        "most_probable_instead_of_drawn": [run(usual, choose=lambda q: q.max(1).indices)],
        "prompt_left_out": [run(usual, only_new=True)],
        "window_slides": [run(usual, grow=lambda text: text[:, 1:])],
        "one_too_few": [run(usual, rounds=-1)],
    },
    "generate_text.repetition_penalty": {
        "always_divided": [with_sets(lambda z, penalty: z / penalty)],
        "always_multiplied": [with_sets(lambda z, penalty: z * penalty)],
        "turned_round": [with_sets(higher)],
        "subtracted": [with_sets(lambda z, penalty: z - penalty)],
        "once_for_each_time": [counted],
        "all_tokens": [with_sets(lower, lambda b, texts, V: range(V))],
        "tokens_that_are_not_there": [with_sets(lower, lambda b, texts, V: set(range(V)) - set(texts[b]))],
        "only_the_last_token": [with_sets(lower, lambda b, texts, V: texts[b][-1:])],
        "rows_mixed_up": [with_sets(lower, lambda b, texts, V: {token for text in texts for token in text})],
        "forbidden": [with_sets(lambda z, penalty: -INF)],
        "log_probabilities_penalised": [with_sets(lower, prepare=lambda z: torch.log(torch.softmax(z, 1)))],
        "probabilities_divided": [shares],
    },
    "generate_text.beam_step": {
        "logits_added": [listed(step=lambda row: row)],
        "probabilities_added": [listed(step=lambda row: [math.exp(a) for a in log_p(row)])],
        "scores_so_far_forgotten": [listed(total=lambda score, part: part)],
        "each_text_alone": [own_best],
        "best_text_only": [leader_only],
        "texts_not_followed": [listed(parent=lambda place, h: place)],
        "divided_by_k": [split_by_k],
        "one_softmax_for_all": [joint],
        "worst_kept": [listed(order=1)],
        "worst_first": [best_last],
        "probabilities_multiplied": [chances],
        "steps_instead_of_totals": [listed(hand=lambda whole, part, T: part)],
        "mean_instead_of_sum": [listed(hand=lambda whole, part, T: whole / (T + 1))],
        "multiplied": [listed(total=lambda score, part: score * part)],
    },
    "generate_text.is_generation": {
        "only_the_length": [trial(lengths)],
        "only_the_prompt": [trial(beginnings)],
        "length_and_prompt_only": [trial(lambda *three: lengths(*three) and beginnings(*three))],
        "one_new_token_only": [trial(same, sizes=(1,))],
        "only_the_last_token_compared": [trial(lambda given, right, texts: [a[-1] for a in given] == [b[-1] for b in right])],
        "only_the_new_tokens": [trial(endings)],
        "one_row": [trial(same, texts=TEXTS[:1])],
        "model_without_a_memory": [trial(same, net=bigram_model)],
        "short_text": [trial(same, texts=[[2, 7], [3, 1]], sizes=(1, 2, 3))],
        "prompt_judged_too": [trial(self_consistent)],
        "compared_with_the_argmax_over_the_prompt": [trial(echo)],
        "answer_turned_round": [opposite],
    },
}
