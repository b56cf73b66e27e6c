"""Each misconception once more, in another style and with other names."""

import hashlib
import math

import numpy as np

# bm25_score: a matrix of counts, documents x words of the query


def ranked(terms, texts, saturate=1.5, norm=0.75, weight=None, body=None, sizes=None, once=False, flip=False, total=False):
    asked = sorted(set(terms), key=terms.index) if once else terms
    F = np.array([[text.count(term) for term in asked] for text in texts], dtype=float).reshape(len(texts), len(asked))
    held = F.sum(axis=0) if total else (F > 0).sum(axis=0)
    size = np.array([(sizes or len)(text) for text in texts], dtype=float)
    ratio = size / size.mean()
    if flip:
        ratio = np.array([len(text) for text in texts]).mean() / np.maximum(size, 1)
    long = 1 + norm * (ratio - 1)
    M = len(texts)
    with np.errstate(all="ignore"):
        w = weight(M, held) if weight else np.log1p(np.abs(M - held + 0.5) / (held + 0.5))
        inside = body(F, saturate, long[:, None]) if body else F / (F + saturate * long[:, None])
        return np.where(F > 0, w * inside, 0.0).sum(axis=1)


def set_of_words(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, once=True)


def all_alike_long(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, 0.0)


def short_ones_pay(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, flip=True)


def negative_weights(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, weight=lambda M, h: np.log(M - h + 0.5) - np.log(h + 0.5))


def log_ratio(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, weight=lambda M, h: -np.log(h / M))


def unweighted(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, weight=lambda M, h: np.ones(len(h)))


def in_bits(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta) / math.log(2)


def all_occurrences(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, total=True)


def other_variant(terms, texts, k=1.5, beta=0.75):
    return (k + 1) * ranked(terms, texts, k, beta)


def grows_for_ever(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, body=lambda F, s, long: F)


def present(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, body=lambda F, s, long: np.minimum(F, 1) / (1 + s * long))


def vocabulary_size(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, sizes=lambda text: len({*text}))


def own_constants(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts)


def bracket_lost(terms, texts, k=1.5, beta=0.75):
    return ranked(terms, texts, k, beta, body=lambda F, s, long: F / (F + s - 1 + long))


# mrr: a table of hits, one row a question


def table(lists, wanted):
    wide = max([len(it) for it in lists] + [1])
    return np.array([[id in good for id in it] + [False] * (wide - len(it)) for it, good in zip(lists, wanted)])


def places(lists, wanted):
    hits = table(lists, wanted)
    return hits, np.where(hits.any(axis=1), hits.argmax(axis=1) + 1.0, np.inf)


def one_too_many(lists, wanted):
    return float((1 / (places(lists, wanted)[1] + 1)).mean())


def lowest(lists, wanted):
    hits = table(lists, wanted)
    back = hits.shape[1] - hits[:, ::-1].argmax(axis=1)
    return float(np.where(hits.any(axis=1), 1 / back, 0).mean())


def every_hit(lists, wanted):
    hits = table(lists, wanted)
    return float((hits / np.arange(1, hits.shape[1] + 1)).sum(axis=1).mean())


def average_hit(lists, wanted):
    hits = table(lists, wanted)
    return float(((hits / np.arange(1, hits.shape[1] + 1)).sum(axis=1) / np.maximum(1, hits.sum(axis=1))).mean())


def plain_rank(lists, wanted):
    rank = places(lists, wanted)[1]
    return float(np.where(np.isfinite(rank), rank, 0).mean())


def upside_down(lists, wanted):
    rank = places(lists, wanted)[1]
    return float(1 / rank[np.isfinite(rank)].mean()) if np.isfinite(rank).any() else 0.0


def of_the_found(lists, wanted):
    rank = places(lists, wanted)[1]
    return float((1 / rank[np.isfinite(rank)]).mean()) if np.isfinite(rank).any() else 0.0


def behind(lists, wanted):
    rank = places(lists, wanted)[1]
    return float((1 / np.where(np.isfinite(rank), rank, [len(it) + 1 for it in lists])).mean())


def on_top(lists, wanted):
    return float((places(lists, wanted)[1] == 1).mean())


def somewhere(lists, wanted):
    return float(table(lists, wanted).any(axis=1).mean())


def upwards(lists, wanted):
    rank = places(lists, wanted)[1]
    return float(np.where(np.isfinite(rank), 1 / (np.array([len(it) for it in lists]) + 1 - np.where(np.isfinite(rank), rank, 0)), 0).mean())


def summed(lists, wanted):
    return float((1 / places(lists, wanted)[1]).sum())


# retry_with_backoff: recursion, one failure after the other


def again(fetch, busy, pause, dice, tries=4, first=0.5, most=8.0, purse=20.0, *, done=1, spent=0.0, oldest=None, **how):
    caught = (busy, ValueError) if how.get("all_errors") else (busy,)
    try:
        return fetch()
    except caught as trouble:
        oldest = oldest or trouble
        own = how.get("length", lambda first, n: first * 2.0 ** (n - 1))(first, done)
        own = own if how.get("high") else min(own, most)
        own = how.get("chance", lambda d, own: own * d)(dice(), own)
        told = getattr(trouble, "retry_after", None) or 0.0
        rest = how.get("told", lambda own, told, most: told if told > own else own)(own, told, most)
        if how.get("trim") and spent < purse < spent + rest:
            rest = purse - spent
        finished = done >= tries + how.get("shift", 0)
        if finished and how.get("rests"):
            pause(rest)
        if finished or how.get("broke", lambda spent, rest, purse: spent + rest > purse)(spent, rest, purse):
            if how.get("quiet"):
                return None
            raise oldest if how.get("oldest_goes") else trouble
        pause(rest)
    return again(fetch, busy, pause, dice, tries, first, most, purse, done=done + 1, spent=spent + rest, oldest=oldest, **how)


def variant(**how):
    def work(fetch, busy, pause, dice, tries=4, first=0.5, most=8.0, purse=20.0):
        if tries + how.get("shift", 0) < 1:
            return None
        return again(fetch, busy, pause, dice, tries, first, most, purse, **how)

    return work


# verify_audit_log: lists of what is found and what should be


def inspected(rows, end="", chain=True, sums=True, begin=True, text=None):
    text = text or (lambda row: row["previous"] + row["entry"])
    before = ["0" * 64] + [row["hash"] for row in rows]
    broken = []
    for n, row in enumerate(rows):
        linked = not chain or row["previous"] == before[n] or (n == 0 and not begin)
        summed_up = not sums or hashlib.new("sha256", bytes(text(row), "utf8")).hexdigest() == row["hash"]
        if not (linked and summed_up):
            broken.append(n)
    open_end = bool(end) and before[-1] != end
    return broken, open_end


def first_of(rows, end, **how):
    broken, open_end = inspected(rows, end, **how)
    return broken[0] if broken else len(rows) if open_end else -1


def no_sums(rows, end=""):
    return first_of(rows, end, sums=False)


def no_chain(rows, end=""):
    return first_of(rows, end, chain=False)


def any_begin(rows, end=""):
    return first_of(rows, end, begin=False)


def no_end(rows, end=""):
    return first_of(rows, "")


def end_inside(rows, end=""):
    broken, _ = inspected(rows)
    return broken[0] if broken else len(rows) if end and all(row["hash"] != end for row in rows) else -1


def last_index(rows, end=""):
    broken, open_end = inspected(rows, end)
    return broken[0] if broken else len(rows) - 1 if open_end else -1


def worst(rows, end=""):
    broken, open_end = inspected(rows, end)
    return max(broken) if broken else len(rows) if open_end else -1


def line_number(rows, end=""):
    broken, open_end = inspected(rows, end)
    return min(broken) + 1 if broken else len(rows) if open_end else -1


def how_many(rows, end=""):
    broken, open_end = inspected(rows, end)
    return len(broken) if broken else len(rows) if open_end else -1


def yes_or_no(rows, end=""):
    broken, open_end = inspected(rows, end)
    return not broken and not open_end


def text_only(rows, end=""):
    return first_of(rows, end, text=lambda row: row["entry"])


# access_is_safe: a list of what must be and what is


def tried(gate, mint, rules, good=True, bad=True, late=(100,), odd=("fly",), odd_roles=("guest",), forge="every", digits="5", blank=True, only=None, swap=True):
    deeds = sorted({deed for own in rules.values() for deed in own}) + list(odd)
    seen = []
    for who in (list(rules)[:only] if only else list(rules)) + list(odd_roles):
        paper = mint(who, 100)
        for deed in deeds:
            wanted = who in rules and deed in rules[who]
            if good if wanted else bad:
                seen.append(gate(paper, deed, 99) is wanted)
            seen += [gate(paper, deed, hour) is False for hour in late]
            size = len(paper)
            spots = {
                "every": range(size), "last": [size - 1], "none": [], "first": [0], "middle": [size // 2],
                "even": range(0, size, 2), "odd": range(1, size, 2), "seal": range(paper.rindex(".") + 1, size),
            }[forge]  # fmt: skip
            for spot in spots:
                fake = list(paper)
                new = (digits + "6") if digits and fake[spot] in "0123456789" else "ab"
                fake[spot] = new[0] if fake[spot] != new[0] else new[1]
                seen.append(gate("".join(fake), deed, 99) is False)
            for other in rules:
                if swap and other != who:
                    seen.append(gate(paper.replace(who, other, 1), deed, 99) is False)
            if blank:
                seen.append(gate("", deed, 99) is False)
    return all(seen)


def guard(**how):
    def work(gate, mint, rules):
        return tried(gate, mint, rules, **how)

    return work


def alarm(gate, mint, rules):
    return not tried(gate, mint, rules)


VERSIONS = {
    "question_answering_service.bm25_score": {
        "repeated_words_once": [set_of_words],
        "no_length": [all_alike_long],
        "length_upside_down": [short_ones_pay],
        "classical_idf": [negative_weights],
        "plain_idf": [log_ratio],
        "no_idf": [unweighted],
        "idf_in_other_logarithm": [in_bits],
        "occurrences_not_documents": [all_occurrences],
        "times_k1_plus_1": [other_variant],
        "no_saturation": [grows_for_ever],
        "there_or_not": [present],
        "different_words": [vocabulary_size],
        "constants_fixed": [own_constants],
        "b_outside_k1": [bracket_lost],
    },
    "question_answering_service.mrr": {
        "rank_from_zero": [one_too_many],
        "last_right_one": [lowest],
        "sum_over_right_ones": [every_hit],
        "mean_over_right_ones": [average_hit],
        "mean_rank": [plain_rank],
        "reciprocal_of_the_mean": [upside_down],
        "unfound_left_out": [of_the_found],
        "unfound_behind_the_end": [behind],
        "only_the_first_place": [on_top],
        "found_or_not": [somewhere],
        "from_the_bottom": [upwards],
        "not_divided": [summed],
    },
    "question_answering_service.retry_with_backoff": {
        "no_jitter": [variant(chance=lambda d, own: own)],
        "jitter_on_top": [variant(chance=lambda d, own: own + d), variant(chance=lambda d, own: own + own * d)],
        "half_jitter": [variant(chance=lambda d, own: own / 2 * (1 + d))],
        "always_the_same_wait": [variant(length=lambda first, n: first)],
        "linear_growth": [variant(length=lambda first, n: n * first)],
        "doubled_too_early": [variant(length=lambda first, n: first * 2.0**n)],
        "no_cap": [variant(high=True)],
        "cap_behind_the_jitter": [variant(high=True, told=lambda own, told, most: max(min(own, most), told))],
        "retry_after_ignored": [variant(told=lambda own, told, most: own)],
        "retry_after_replaces": [variant(told=lambda own, told, most: told or own)],
        "retry_after_added": [variant(told=lambda own, told, most: own + told)],
        "retry_after_capped": [variant(told=lambda own, told, most: min(max(own, told), most))],
        "every_error_retried": [variant(all_errors=True)],
        "one_call_more": [variant(shift=1)],
        "one_call_less": [variant(shift=-1)],
        "budget_ignored": [variant(broke=lambda spent, rest, purse: purse < 0)],
        "budget_for_each_wait": [variant(broke=lambda spent, rest, purse: rest > purse)],
        "budget_noticed_too_late": [
            variant(broke=lambda spent, rest, purse: spent > purse),
            variant(broke=lambda spent, rest, purse: not spent < purse),
        ],
        "wait_cut_to_the_rest": [variant(trim=True)],
        "budget_must_not_be_reached": [variant(broke=lambda spent, rest, purse: spent + rest >= purse)],
        "waits_before_giving_up": [variant(rests=True)],
        "failure_swallowed": [variant(quiet=True)],
        "first_error_raised": [variant(oldest_goes=True)],
    },
    "question_answering_service.verify_audit_log": {
        "links_only": [no_sums],
        "hashes_only": [no_chain],
        "start_not_checked": [any_begin],
        "anchor_ignored": [no_end],
        "anchor_anywhere": [end_inside],
        "anchor_at_the_last_record": [last_index],
        "last_bad_one": [worst],
        "counted_from_one": [line_number],
        "number_of_bad_ones": [how_many],
        "good_or_not": [yes_or_no],
        "entry_alone_hashed": [text_only],
    },
    "question_answering_service.access_is_safe": {
        "answer_turned_round": [alarm],
        "refusals_only": [guard(good=False)],
        "permissions_only": [guard(bad=False)],
        "expiry_not_tried": [guard(late=())],
        "expiry_tried_later": [guard(late=(101,)), guard(late=(150,))],
        "unlisted_action_not_tried": [guard(odd=())],
        "unknown_role_not_tried": [guard(odd_roles=())],
        "forgery_not_tried": [
            guard(forge="none"),
            guard(forge="none", swap=False),
            guard(forge="first", digits=""),
            guard(forge="middle", digits="", swap=False),
        ],
        "last_character_only": [guard(forge="last"), guard(forge="last", digits="", swap=False)],
        "some_places_only": [guard(forge="even"), guard(forge="odd", swap=False)],
        "no_digit_for_a_digit": [guard(digits=""), guard(forge="seal", digits="", swap=False), guard(forge="seal")],
        "roles_not_exchanged": [guard(swap=False)],
        "empty_token_not_tried": [guard(blank=False)],
        "first_role_only": [guard(only=1, odd_roles=())],
    },
}
