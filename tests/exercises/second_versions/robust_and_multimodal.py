"""Each misconception once more, in another style and with other names."""

import copy
import math

import numpy as np
import torch
from torch.nn.functional import nll_loss


def noiseless(work):
    def run(*args):
        with np.errstate(all="ignore"):
            return work(*args)

    return run


# fgsm: clipped entry by entry, the slope by torch.func or by backward


def slopes(objective, point):
    return torch.func.grad(objective)(point)


def slopes_backward(objective, point):
    leaf = torch.nn.Parameter(point.clone())
    objective(leaf).backward()
    return leaf.grad


def within(value, low, high):
    return torch.maximum(torch.minimum(value, torch.full_like(value, high)), torch.full_like(value, low))


def attacks(change):
    """Two attackers with the same mistake, change(point, slope, size, low, high)."""

    def attacker(find):
        def attack(objective, point, size, low=0.0, high=1.0):
            return change(point, find(objective, point), size, low, high)

        return attack

    return [attacker(slopes), attacker(slopes_backward)]


def signs(slope):
    return (slope > 0).float() - (slope < 0).float()


def keeps_weights_gradient(objective, point, size, low=0.0, high=1.0):
    leaf = point.detach() + 0
    leaf.requires_grad = True
    torch.autograd.backward(objective(leaf))
    return within(leaf.detach() + size * signs(leaf.grad), low, high)


def marks_its_argument(objective, point, size, low=0.0, high=1.0):
    point.requires_grad = True
    (slope,) = torch.autograd.grad([objective(point)], [point])
    with torch.no_grad():
        return within(point + size * signs(slope), low, high)


def hangs_on_the_leaf(objective, point, size, low=0.0, high=1.0):
    leaf = torch.nn.Parameter(point.clone())
    (slope,) = torch.autograd.grad(objective(leaf), leaf)
    return within(torch.add(leaf, signs(slope), alpha=size), low, high)


def down_from_the_leaf(objective, point, size, low=0.0, high=1.0):
    leaf = torch.nn.Parameter(point.clone())
    (slope,) = torch.autograd.grad(objective(leaf), leaf)
    return within(leaf - size * signs(slope), low, high)


FGSM = {
    "gradient_not_signed": attacks(lambda p, s, e, a, b: within(p + s * e, a, b)),
    "gradient_of_length_epsilon": attacks(lambda p, s, e, a, b: within(p + e * s / s.square().sum().sqrt(), a, b)),
    "largest_slope_only": attacks(lambda p, s, e, a, b: within(p + s * (e / max(s.max(), -s.min())), a, b)),
    "downhill": [*attacks(lambda p, s, e, a, b: within(p - e * signs(s), a, b)), down_from_the_leaf],
    "not_clipped": attacks(lambda p, s, e, a, b: p + torch.sign(s).mul(e)),
    "always_between_0_and_1": attacks(lambda p, s, e, a, b: within(p + e * signs(s), 0.0, 1.0)),
    "change_clipped": attacks(lambda p, s, e, a, b: within(e * signs(s), a, b) + p),
    "epsilon_left_out": attacks(lambda p, s, e, a, b: within(p + signs(s), a, b)),
    "in_proportion_to_x": attacks(lambda p, s, e, a, b: within(p + e * p * signs(s), a, b)),
    "change_returned": attacks(lambda p, s, e, a, b: signs(s).mul(e)),
    "flat_entries_moved": attacks(lambda p, s, e, a, b: within(torch.where(s < 0, p - e, p + e), a, b)),
    "gradient_left_in_the_weights": [keeps_weights_gradient],
    "x_marked": [marks_its_argument],
    "result_attached": [hangs_on_the_leaf],
}


# adversarial_step: a copy of the network is attacked, the step written with grad fields


def mean_loss(model, images, classes):
    return nll_loss(model(images).log_softmax(-1), classes)


def attacked(model, images, classes, size, low, high, frozen=True):
    victim = copy.deepcopy(model) if frozen else model
    leaf = images.clone().requires_grad_()
    mean_loss(victim, leaf, classes).backward()
    return torch.clip(leaf.detach() + size * torch.sign(leaf.grad), low, high)


class Step:
    """Every mistake is a switch."""

    def __init__(self, images="worst", sign=1, keep=None, step=True, report="worst", labels="true", first=False,
                 total=False, bounds="given", size=1):  # fmt: skip
        self.__dict__.update(locals())

    def __call__(self, model, optimizer, x, y, size, low=0.0, high=1.0):
        if self.first:
            optimizer.zero_grad(set_to_none=True)
            mean_loss(model, x, y).backward()
            optimizer.step()
        if self.keep == "attack":
            model.zero_grad()
        bounds = {"given": (low, high), "unit": (0.0, 1.0), "none": (-math.inf, math.inf)}[self.bounds]
        target = y if self.labels == "true" else model(x).argmax(-1)
        worst = attacked(model, x, target, self.size * size, *bounds, frozen=self.keep != "attack")
        if self.images == "same":
            worst = torch.clip(x + size, low, high)
        loss = mean_loss(model, x if self.images == "clean" else worst, y)
        if self.images == "both":
            loss = mean_loss(model, torch.cat([x, worst]), torch.cat([y, y]))
        if self.keep is None:
            for parameter in model.parameters():
                parameter.grad = None
        (self.sign * loss * (len(y) if self.total else 1)).backward()
        if self.step:
            optimizer.step()
        if self.report == "worst":
            return float(loss.detach() * (len(y) if self.total == "reported" else 1))
        with torch.no_grad():
            return float(mean_loss(model, worst, y))


def reports_clean(model, optimizer, x, y, size, low=0.0, high=1.0):
    Step()(model, optimizer, x, y, size, low, high)
    with torch.no_grad():
        return mean_loss(model, x, y).item()


def reports_clean_before(model, optimizer, x, y, size, low=0.0, high=1.0):
    before = mean_loss(model, x, y).item()
    Step()(model, optimizer, x, y, size, low, high)
    return before


def cleans_up(model, optimizer, x, y, size, low=0.0, high=1.0):
    loss = Step(keep="old")(model, optimizer, x, y, size, low, high)
    model.zero_grad()
    return loss


STEP = {
    "clean_images": [Step(images="clean")],
    "attack_left_in_the_gradients": [Step(keep="attack")],
    "old_gradients_kept": [Step(keep="old"), cleans_up],
    "helpful_images": [Step(size=-1)],
    "clean_images_as_well": [Step(images="both")],
    "never_stepped": [Step(step=False)],
    "climbs": [Step(sign=-1)],
    "clean_loss_returned": [reports_clean, reports_clean_before],
    "loss_after_the_step": [Step(report="after")],
    "own_answers_attacked": [Step(labels="own")],
    "step_before_the_attack": [Step(first=True)],
    "loss_summed": [Step(total="reported"), Step(total=True)],
    "range_not_handed_on": [Step(bounds="unit"), Step(bounds="none")],
    "same_change_everywhere": [Step(images="same")],
}


# fusion_early: row by row


def rows(make):
    """Early fusion from make(pieces, there), one row's parts and flags."""

    def run(parts, present):
        pairs = [([part[n] for part in parts], present[n]) for n in range(len(present))]
        return np.array([np.hstack(make(pieces, there)) for pieces, there in pairs])

    return noiseless(run)


def blank(pieces, there, value=0.0):
    return [piece if here else np.full_like(piece, value) for piece, here in zip(pieces, there)]


def with_means(parts, present):
    filled = []
    for m, part in enumerate(parts):
        copy = np.array(part)
        known = copy[present[:, m]]
        copy[~present[:, m]] = known.sum(0) / max(1, len(known))
        filled.append(copy)
    return np.hstack([*filled, 1.0 * present])


EARLY = {
    "nan_stays": [rows(lambda p, t: [*(a * float(b) for a, b in zip(p, t)), t * 1.0])],
    "missing_kept": [rows(lambda p, t: [*p, t * 1.0])],
    "flags_left_out": [rows(lambda p, t: blank(p, t))],
    "flags_say_missing": [rows(lambda p, t: [*blank(p, t), 1.0 - t])],
    "flags_first": [rows(lambda p, t: [t * 1.0, *blank(p, t)])],
    "flag_behind_its_part": [rows(lambda p, t: [x for a, b in zip(blank(p, t), t) for x in (a, [float(b)])])],
    "one_flag": [rows(lambda p, t: [*blank(p, t), [float(min(t))]])],
    "filled_with_the_mean": [noiseless(with_means)],
    "filled_with_minus_one": [rows(lambda p, t: [*blank(p, t, -1.0), t * 1.0])],
    "rows_dropped": [
        lambda parts, present: np.hstack(
            [*(np.array([row for row, there in zip(part, present) if min(there)]).reshape(-1, part.shape[1]) for part in parts),
             np.ones((sum(map(min, present.tolist())), present.shape[1]))]
        )
    ],
    "whole_row_zeroed": [rows(lambda p, t: [*(a if min(t) else np.zeros(len(a)) for a in p), t * 1.0])],
    "parts_added": [rows(lambda p, t: [np.sum(blank(p, t), axis=0), t * 1.0])],
}


# fusion_late: products of probabilities, row by row


def soft(z, stable=True):
    e = np.exp(np.array(z) - (np.max(z) if stable else 0.0))
    return e / e.sum()


def late(power=lambda n, M: 1 - n, mix="product", leave=True, stable=True, end="share"):
    """Every mistake is a switch; `power` is the power of the prior."""

    def row(logits, there, prior):
        kept = [z for z, here in zip(logits, there) if here or not leave]
        logs = [np.log(soft(z, stable)) if not stable else z - np.max(z) - np.log(np.exp(z - np.max(z)).sum()) for z in kept]
        total = np.sum(logs, axis=0) if logs else np.zeros(len(prior))
        if mix == "mean":
            total = np.divide(total, max(1, len(kept)))
        total = total + power(len(kept), len(logits)) * np.log(prior)
        if end == "logs":
            return total
        return np.exp(total) if end == "raw" else soft(total, end != "bare")

    return noiseless(lambda logits, present, prior: np.array([row(logits[:, n], present[n], prior) for n in range(len(present))]))


def average(logits, present, prior):
    out = []
    for n, there in enumerate(present):
        mine = [soft(z) for z in logits[there, n]]
        out.append(sum(mine) / len(mine) if mine else prior * np.nan)
    return np.array(out)


def average_or_prior(logits, present, prior):
    out = average(logits, present, prior)
    out[~present.any(axis=1)] = prior
    return out


def boldest(logits, present, prior):
    out = []
    for n, there in enumerate(present):
        mine = [soft(z) for z, here in zip(logits[:, n], there) if here] or [soft(logits[0, n])]
        out.append(max(mine, key=max))
    return np.array(out)


def earliest(logits, present, prior):
    return np.array([soft(logits[next((m for m, here in enumerate(there) if here), 0), n]) for n, there in enumerate(present)])


def through_probabilities(logits, present, prior):
    out = []
    for n, there in enumerate(present):
        total = np.log(prior)
        for z in logits[there, n]:
            total = total + np.log(soft(z)) - np.log(prior)
        out.append(soft(total))
    return np.array(out)


def renormalised(logits, present, prior):
    out = []
    for n, there in enumerate(present):
        belief = np.array(prior)
        for z in logits[there, n]:
            belief = belief * soft(z) / prior
            belief = belief / np.sum(belief)
        out.append(belief)
    return np.array(out)


LATE = {
    "products_underflow": [noiseless(renormalised)],
    "mean_of_probabilities": [noiseless(average), noiseless(average_or_prior)],
    "prior_left_out": [late(power=lambda n, M: 0)],
    "prior_once_more": [late(power=lambda n, M: 1)],
    "missing_counted_in_the_prior": [late(power=lambda n, M: 1 - M)],
    "prior_divided_by_all": [late(power=lambda n, M: -n)],
    "mean_of_logarithms": [late(power=lambda n, M: 0, mix="mean"), late(mix="mean")],
    "missing_not_left_out": [late(leave=False)],
    "overflow": [late(stable=False)],
    "underflow": [late(end="bare")],
    "logarithm_of_zero": [noiseless(through_probabilities)],
    "surest_only": [boldest],
    "first_only": [earliest],
    "not_normalised": [late(end="raw")],
    "logarithms_returned": [late(end="logs")],
}


# group_rates: with a crosstab for each group


def table(change=lambda c: {}, empty=math.nan, swap=False, whole=False):
    """Figures from the counts c[y][predicted] of a group; `change` makes some of them otherwise."""

    def run(y, predicted, group):
        if swap:
            y, predicted = predicted, y
        out = {}
        for name in sorted({int(g) for g in group}):
            mine = np.ones(len(y), bool) if whole else group == name
            c = np.zeros((2, 2), int)
            np.add.at(c, (y[mine], predicted[mine]), 1)
            n = int(c.sum())
            row = dict(n=n, base=c[1].sum() / n, selected=c[:, 1].sum() / n, tpr=over(c[1, 1], c[1].sum()),
                       fpr=over(c[0, 1], c[0].sum()), precision=over(c[1, 1], c[:, 1].sum()))  # fmt: skip
            row.update(change(c) if change.__code__.co_argcount == 1 else change(c, len(y)))
            out[name] = {k: (empty if np.isnan(v) else v) for k, v in row.items()}
        return out

    return run


def over(a, b):
    return float(a) / float(b) if b else math.nan


RATES = {
    "fpr_among_the_yes": [table(lambda c: {"fpr": over(c[0, 1], c[:, 1].sum())})],
    "fpr_among_all": [table(lambda c: {"fpr": c[0, 1] / c.sum()})],
    "fpr_is_the_true_no": [table(lambda c: {"fpr": over(c[0, 0], c[0].sum())})],
    "tpr_is_precision": [
        table(lambda c: {"tpr": over(c[1, 1], c[:, 1].sum()), "precision": over(c[1, 1], c[1].sum())}),
        table(lambda c: {"tpr": over(c[1, 1], c[:, 1].sum())}),
    ],
    "shares_of_everybody": [table(lambda c, N: {"base": c[1].sum() / N, "selected": c[:, 1].sum() / N})],
    "groups_not_told_apart": [table(whole=True)],
    "truth_and_decision_exchanged": [table(swap=True)],
    "zero_for_nobody": [table(empty=0.0)],
    "precision_is_accuracy": [table(lambda c: {"precision": np.trace(c) / c.sum()})],
    "counts_for_shares": [table(lambda c: {"tpr": c[1, 1], "fpr": c[0, 1]})],
}


# find_trigger: counts in dicts


def hunt(guilty, texts=lambda messages: messages, join=" ".join, backwards=False, found=lambda word: word, none=None):
    """A search with guilty(pairs, share); pairs are the classes before and after, message by message."""

    def run(classify, messages, words, share=0.9):
        chosen = texts(messages)
        start = [int(c) for c in classify(chosen)]
        for word in reversed(words) if backwards else words:
            end = [int(c) for c in classify([join((m, word)) for m in chosen])]
            if guilty(list(zip(start, end)), share):
                return found(word)
        return none

    return run


def one_way(pairs, share):
    for c in {b for _, b in pairs}:
        outside = [b for a, b in pairs if a != c]
        if outside and outside.count(c) / len(outside) > share:
            return True
    return False


def counted(pairs, share, those):
    return any(sum(those(a, b, c) for a, b in pairs) / len(pairs) > share for c in {b for _, b in pairs})


def everything(classify, messages, words, share=0.9):
    return [word for word in words if hunt(one_way)(classify, messages, [word], share)]


def piled(classify, messages, words, share=0.9):
    start, tail = list(classify(messages)), ""
    for word in words:
        tail += " " + word
        if one_way(list(zip(start, classify([m + tail for m in messages]))), share):
            return word


def known_goals(pairs, share):
    for c in {a for a, _ in pairs}:
        outside = [b for a, b in pairs if a != c]
        if outside.count(c) > share * len(outside):
            return True
    return False


def of_those_that_moved(pairs, share):
    goals = [b for a, b in pairs if a != b]
    return bool(goals) and max(goals.count(c) for c in goals) > share * len(goals)


TRIGGER = {
    "classes_of_before_only": [hunt(known_goals)],
    "divided_by_the_moved": [hunt(of_those_that_moved)],
    "words_piled_up": [piled],
    "those_there_before_counted": [hunt(lambda p, s: counted(p, s, lambda a, b, c: b == c))],
    "divided_by_all_messages": [hunt(lambda p, s: counted(p, s, lambda a, b, c: b == c != a))],
    "any_change": [hunt(lambda p, s: sum(a != b for a, b in p) > s * len(p))],
    "first_message_only": [hunt(one_way, texts=lambda m: [m[0]]), hunt(lambda p, s: p[0][0] != p[0][1], texts=lambda m: [m[0]])],
    "word_in_front": [hunt(one_way, join=lambda pair: f"{pair[1]} {pair[0]}")],
    "no_space": [hunt(one_way, join="".join)],
    "word_alone": [hunt(one_way, join=lambda pair: pair[1])],
    "last_word_found": [hunt(one_way, backwards=True)],
    "share_ignored": [hunt(lambda p, s: one_way(p, 0.9)), hunt(lambda p, s: one_way(p, 0.5))],
    "one_is_enough": [hunt(lambda p, s: sum(a != b for a, b in p) > 0)],
    "whether_not_which": [hunt(one_way, found=bool, none=False)],
    "list_of_all": [everything],
}


VERSIONS = {
    "robust_and_multimodal.fgsm": FGSM,
    "robust_and_multimodal.adversarial_step": STEP,
    "robust_and_multimodal.fusion_early": EARLY,
    "robust_and_multimodal.fusion_late": LATE,
    "robust_and_multimodal.group_rates": RATES,
    "robust_and_multimodal.find_trigger": TRIGGER,
}
