"""Each misconception once more, in another style and with other names."""

import random
import statistics

import numpy as np
import torch

# mask_tokens: token by token


def spoiler(hide=lambda r: r < 0.8, swap=lambda r: 0.8 <= r < 0.9, pick=None, label=lambda old, new, r: old, other=-100, loose=False):
    def work(ids, u, r, others, mask, specials, rate=0.15):
        pick_here = pick or (lambda i, a, q: i >= specials and a < q)
        seen, wanted = [], []
        flat = zip(*(it.flatten().tolist() for it in (ids, u, r, others)))
        for token, a, b, another in flat:
            chosen = pick_here(token, a, rate)
            touched = chosen or (loose and token >= specials)
            b = a / rate if hide is None else b
            first = (lambda v: v < 0.8) if hide is None else hide
            new = mask if touched and first(b) else another if touched and swap(b) else token
            seen.append(new)
            wanted.append(label(token, new, b) if chosen else token if other is None else other)
        return torch.tensor(seen).view(ids.shape), torch.tensor(wanted).view(ids.shape)

    return work


# pool: text by text


def each(function):
    return lambda states, keep: torch.stack([function(row, on) for row, on in zip(states, keep)])


def count_all(states, keep):
    return torch.einsum("btd,bt->bd", states, keep.to(states.dtype)) / float(keep.sum())


# freeze_except


def switcher(found, total):
    def work(net, wanted):
        for path, tensor in net.named_parameters():
            tensor.requires_grad_(found(path, tensor, wanted))
        return total(net, wanted)

    return work


def whole(path, names):
    import re

    return any(re.search(rf"(^|\.){re.escape(name)}(\.|$)", path) for name in names)


def as_sets(path, p, wanted):
    return any(set(name.split(".")) <= set(path.split(".")) for name in wanted)


def unescaped(path, p, wanted):
    import re

    return re.search("|".join(rf"\b{name}(\.|$)" for name in wanted), path) is not None


def active(net, wanted):
    return int(sum(np.prod(tuple(p.shape)) for p in net.parameters() if p.requires_grad))


def by_turns(net, wanted):
    for name in wanted:
        for path, p in net.named_parameters():
            p.requires_grad_(whole(path, [name]))
    return active(net, wanted)


def sum_over_names(net, wanted):
    totals = []
    for name in wanted:
        totals.append(sum(p.numel() for path, p in net.named_parameters() if whole(path, [name])))
    for path, p in net.named_parameters():
        p.requires_grad_(whole(path, wanted))
    return sum(totals)


def modes(net, wanted):
    net.eval()
    for path, part in net.named_modules():
        if whole(path, wanted):
            part.train()
    return active(net, wanted)


# learning_curve_point


def share_right(guess, truth):
    return sum(int(a == b) for a, b in zip(guess, truth)) / len(truth)


def rows_of(generator, truth, many, repeats=False, per_class=False):
    kinds, rows = sorted(set(truth.tolist())), []
    size = many if per_class else many // len(kinds)
    for kind in kinds:
        where = np.nonzero(truth == kind)[0]
        rows.extend(generator.choice(where, size=size, replace=True) if repeats else generator.permutation(where)[:size])
    return np.array(rows, dtype=int)


def population(values):
    return statistics.pstdev(values)


def point(rows=None, new=np.random.default_rng, seed_of=lambda s: s, score=None, middle=statistics.fmean, width=population):
    def work(texts, truth, unseen, answers, many, train, draws):
        results = []
        for draw in draws:
            chosen = (rows or rows_of)(new(draw), truth, many)
            model = train(texts[chosen], truth[chosen], seed_of(draw))
            if score == "few":
                results.append(share_right(model(texts[chosen]), truth[chosen]))
            elif score == "rest":
                others = np.array([i for i in range(len(truth)) if i not in set(chosen.tolist())])
                results.append(share_right(model(texts[others]), truth[others]))
            elif score == "wrong":
                results.append(1 - share_right(model(unseen), answers))
            else:
                results.append(share_right(model(unseen), answers))
        return middle(results), width(results)

    return work


def kinds_of_the_test(texts, truth, unseen, answers, many, train, draws):
    def chosen(generator, truth, many):
        kinds = sorted(set(answers.tolist()))
        return np.hstack([generator.permutation(np.nonzero(truth == kind)[0])[: many // len(kinds)] for kind in kinds])

    return point(rows=chosen)(texts, truth, unseen, answers, many, train, draws)


def one_generator(texts, truth, unseen, answers, many, train, draws):
    state = np.random.default_rng(draws[0])
    return point(new=lambda draw: state)(texts, truth, unseen, answers, many, train, draws)


def same_draw(texts, truth, unseen, answers, many, train, draws):
    first = rows_of(np.random.default_rng(draws[0]), truth, many)
    return point(rows=lambda generator, truth, many: first)(texts, truth, unseen, answers, many, train, draws)


def firsts(generator, truth, many):
    kinds = sorted(set(truth.tolist()))
    return np.array([i for kind in kinds for i in [j for j in range(len(truth)) if truth[j] == kind][: many // len(kinds)]])


# measures_memory


def luck(experiment, texts):
    coins = random.Random(4)
    labels = np.array([coins.randint(0, 1) for _ in range(texts)])
    return experiment(labels, 3)


def drawn_anew(experiment, texts, runs=5):
    return statistics.fmean(experiment(np.random.default_rng(s).integers(2, size=texts), s) for s in range(runs))


VERSIONS = {
    "pretrain_and_transfer.mask_tokens": {
        "special_tokens_chosen": [spoiler(pick=lambda i, a, q: a < q)],
        "always_hidden": [spoiler(hide=lambda b: True)],
        "labels_everywhere": [spoiler(other=None)],
        "labels_only_where_changed": [
            spoiler(label=lambda old, new, b: old if new != old else -100),
            spoiler(label=lambda old, new, b: old if b < 0.8 else -100),
        ],
        "labels_are_the_inputs": [spoiler(label=lambda old, new, b: new)],
        "zero_in_place_of_ignore": [spoiler(other=0)],
        "one_random_number_for_both": [spoiler(hide=None)],
        "kept_and_random_exchanged": [spoiler(swap=lambda b: b >= 0.9)],
        "never_kept": [spoiler(swap=lambda b: b >= 0.8)],
        "words_over_the_masks": [spoiler(hide=lambda b: False, swap=lambda b: b < 0.9)],
        "never_random": [spoiler(swap=lambda b: False)],
        "most_are_chosen": [spoiler(pick=lambda i, a, q: i > 3 and a >= q)],
        "shares_of_all_tokens": [spoiler(loose=True)],
    },
    "pretrain_and_transfer.pool": {
        "padding_counted": [each(lambda row, on: row.sum(0) / len(row))],
        "divided_by_the_length_of_the_row": [each(lambda row, on: row[on].sum(0) / len(row))],
        "padding_in_the_sum": [each(lambda row, on: row.sum(0) / max(1, int(on.sum())))],
        "sum": [each(lambda row, on: row[on].sum(0))],
        "first_token": [each(lambda row, on: row[0])],
        "last_token": [each(lambda row, on: row[-1])],
        "maximum": [each(lambda row, on: row.max(0).values)],
        "one_count_for_all_texts": [count_all],
        "only_the_padding": [each(lambda row, on: row[~on].mean(0))],
        "empty_text_is_nan": [each(lambda row, on: row[on].mean(0))],
        "one_too_many": [each(lambda row, on: row[on].sum(0) / (1 + on.sum()))],
    },
    "pretrain_and_transfer.freeze_except": {
        "any_part_of_the_text": [switcher(lambda path, p, wanted: any(path.find(name) >= 0 for name in wanted), active)],
        "parts_not_side_by_side": [switcher(as_sets, active)],
        "dot_means_anything": [switcher(unescaped, active)],
        "only_at_the_beginning": [switcher(lambda path, p, wanted: path.startswith(tuple(wanted)), active)],
        "the_named_are_frozen": [switcher(lambda path, p, wanted: not whole(path, wanted), active)],
        "frozen_stays_frozen": [switcher(lambda path, p, wanted: whole(path, wanted) and p.requires_grad, active)],
        "nothing_is_frozen": [switcher(lambda path, p, wanted: whole(path, wanted) or p.requires_grad, active)],
        "tensors_counted": [
            switcher(lambda path, p, wanted: whole(path, wanted), lambda net, w: len([p for p in net.parameters() if p.requires_grad]))
        ],
        "all_counted": [
            switcher(lambda path, p, wanted: whole(path, wanted), lambda net, w: sum(p.nelement() for p in net.parameters()))
        ],
        "frozen_counted": [
            switcher(
                lambda path, p, wanted: whole(path, wanted),
                lambda net, w: sum(p.nelement() for p in net.parameters() if not p.requires_grad),
            )
        ],
        "last_name_wins": [by_turns],
        "all_names_wanted": [switcher(lambda path, p, wanted: all(whole(path, [name]) for name in wanted), active)],
        "counted_twice": [sum_over_names],
        "mode_instead_of_gradient": [modes],
    },
    "pretrain_and_transfer.learning_curve_point": {
        "measured_on_the_training_texts": [point(score="few")],
        "measured_on_the_rest": [point(score="rest")],
        "always_the_first_texts": [point(rows=firsts)],
        "classes_not_balanced": [point(rows=lambda generator, truth, many: generator.permutation(len(truth))[:many])],
        "one_draw_for_all_seeds": [same_draw],
        "generator_goes_on": [one_generator],
        "seed_not_passed_on": [point(seed_of=lambda s: 0)],
        "n_of_each_class": [point(rows=lambda generator, truth, many: rows_of(generator, truth, many, per_class=True))],
        "drawn_with_repeats": [point(rows=lambda generator, truth, many: rows_of(generator, truth, many, repeats=True))],
        "classes_of_the_test": [kinds_of_the_test],
        "best_draw": [point(middle=max)],
        "sample_spread": [point(width=statistics.stdev)],
        "variance": [point(width=statistics.pvariance)],
        "standard_error": [point(width=lambda values: population(values) / len(values) ** 0.5)],
        "errors_counted": [point(score="wrong")],
    },
    "pretrain_and_transfer.measures_memory": {
        "answer_turned_round": [lambda experiment, texts: not luck(experiment, texts) > 0.6],
        "any_luck_counts": [lambda experiment, texts: luck(experiment, texts) > 1 / 2],
        "only_perfect_memory": [
            lambda experiment, texts: luck(experiment, texts) == 1.0,
            lambda experiment, texts: drawn_anew(experiment, texts) > 0.66,
            lambda experiment, texts: drawn_anew(experiment, texts) > 0.69,
        ],
        "one_label_too_frequent": [lambda experiment, texts: experiment(np.full(texts, 1), 5) > 0.62],
        "labels_in_turn": [lambda experiment, texts: experiment(np.tile([0, 1], texts // 2), 1) > 0.6],
        "labels_in_blocks": [lambda experiment, texts: experiment(np.repeat([0, 1], texts // 2), 1) > 0.6],
    },
}
