"""Exercises of lesson 21."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter

import numpy as np

from .engine.model import Check, Exercise, Failed, case_check, misconceptions_of


def bm25_score(query, documents, k1=1.5, b=0.75):
    """BM25 of every document for a query, in Lucene's form.

    query: list of words, a word that stands there twice counts twice; documents: list of N lists of words, not all empty
    k1, b: as in the formula -> float array (N,); words that no document has add nothing
    """
    N = len(documents)
    lengths = np.array([len(words) for words in documents])
    counts = [Counter(words) for words in documents]
    scores = np.zeros(N)
    for word in query:
        f = np.array([count[word] for count in counts])  # (N,)
        n = (f > 0).sum()
        idf = math.log(1 + (N - n + 0.5) / (n + 0.5))
        scores += idf * f / (f + k1 * (1 - b + b * lengths / lengths.mean()))
    return scores


def mrr(rankings, relevant):
    """Mean reciprocal rank: how near to the top the first right document stands, over all questions.

    rankings: one list of ids for each question, best first, perhaps cut short
    relevant: one set of right ids for each question, not empty
    -> float: mean of 1 / rank of the first right id, ranks from 1; 0 for a question whose list has none
    """
    total = 0.0
    for ranking, right in zip(rankings, relevant):
        ranks = [rank for rank, id in enumerate(ranking, 1) if id in right]
        total += 1 / ranks[0] if ranks else 0.0
    return total / len(rankings)


def retry_with_backoff(call, temporary, sleep, random, attempts=4, base=0.5, cap=8.0, budget=20.0):
    """Call until it works, and wait longer after each failure -> what call() returned.

    call: function without arguments; raises `temporary` where another try may help, its .retry_after is seconds or None
    sleep: waits so many seconds; random: a new float in [0, 1) at each call
    After failure n = 1, 2, ... wait random() * min(cap, base * 2 ** (n - 1)), but no less than .retry_after, also where
    that is above cap. After `attempts` calls, or where the waits together would be more than `budget` seconds, wait no
    more: the last `temporary` goes to the caller. So does any other error, at once.
    """
    waited = 0.0
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except temporary as error:
            wait = random() * min(cap, base * 2 ** (attempt - 1))
            wait = max(wait, error.retry_after or 0.0)
            if attempt == attempts or waited + wait > budget:
                raise
        sleep(wait)
        waited += wait


def verify_audit_log(records, last=""):
    """Where a hash chain is broken -> int: index of the first bad record, -1 if all is well.

    records: list of {"entry": str, "previous": hex str, "hash": hex str}. `hash` is the SHA-256 of previous + entry, as
    hexdigest of the UTF-8 bytes; `previous` is the hash of the record before, "0" * 64 in the first one
    last: if not empty, the hash that the log must end with ("0" * 64: an empty log); where it ends otherwise and
    nothing else is bad, the result is len(records)
    """
    previous = "0" * 64
    for i, record in enumerate(records):
        right = hashlib.sha256((record["previous"] + record["entry"]).encode()).hexdigest()
        if record["previous"] != previous or record["hash"] != right:
            return i
        previous = record["hash"]
    return len(records) if last and last != previous else -1


def access_is_safe(allowed, issue, permissions):
    """Whether a check of access lets in those who may, and nobody else -> bool.

    allowed(token, action, now) -> bool: what you test; issue(role, expires) -> token, a str
    permissions: dict, role -> set of its actions; whatever is not listed is forbidden, also to roles and actions unknown
    A token is good while now < expires. No other text is one: not "", nor a token with any one character changed (a
    letter into another letter, a digit into another digit), nor one with another role's name in place of its own.
    """
    actions = set().union(*permissions.values(), {"not listed"})
    for role in [*permissions, "nobody"]:
        token = issue(role, 100)
        forged = {token.replace(role, other) for other in permissions}
        for i, old in enumerate(token):
            new = str((int(old) + 1) % 10) if old.isdecimal() else "b" if old == "a" else "a"
            forged.add(token[:i] + new + token[i + 1 :])
        forged -= {token}
        for action in actions:
            if allowed(token, action, 99) != (action in permissions.get(role, ())):
                return False
            if allowed(token, action, 100) or any(allowed(text, action, 99) for text in ["", *forged]):
                return False
    return True


# bm25_score


def _bm25_oracle(query, documents, k1=1.5, b=0.75):
    """One document and one word after the other, with lists alone."""
    mean = sum(len(words) for words in documents) / len(documents)
    scores = []
    for words in documents:
        score = 0.0
        for word in query:
            n = len([other for other in documents if word in other])
            f = words.count(word)
            if f:
                idf = math.log((len(documents) + 1) / (n + 0.5))  # 1 + (N - n + 0.5) / (n + 0.5)
                score += idf * f / (f + k1 * (1 - b) + k1 * b * len(words) / mean)
        scores.append(score)
    return np.array(scores)


def _bm25_sample(rng):
    words = [f"w{i}" for i in range(8)]
    documents = [[str(w) for w in rng.choice(words, rng.integers(0, 9))] for _ in range(rng.integers(2, 7))] + [["w0", "w1"]]
    query = [str(w) for w in rng.choice([*words, "new"], rng.integers(1, 6))]
    k1, b = rng.integers(2, 9) / 4, rng.integers(1, 5) / 4
    return (query, documents, float(k1), float(b)) if rng.integers(3) else (query, documents)


_bm25_random = [_bm25_sample(np.random.default_rng(seed)) for seed in range(8)]
_BM25_DOCUMENTS = [["free", "return"], ["free", "delivery", "in", "five", "days"], ["return", "in", "thirty", "days", "return"]]


def _bm25_probes():
    long = ["a", "b", "a", "c", "a", "d", "d", "e"]
    return [
        (["return", "free", "return"], _BM25_DOCUMENTS),
        (["a", "b", "d", "new"], [long, ["a", "c"], ["b", "c", "c"], ["e"], []], 1.2, 0.5),
        (["c", "a"], [["a"], ["a", "c", "x"], ["a", "y"], ["a", "z", "a", "z"]], 2.0, 1.0),
    ]


def _bm25(idf=None, part=None, length=len, query=lambda query: query, found=None, mean=None, k1_used=None, b_used=None):
    """bm25_score with a part changed."""
    idf = idf or (lambda N, n: math.log(1 + (N - n + 0.5) / (n + 0.5)))
    part = part or (lambda f, k1, norm: f / (f + k1 * norm))
    found = found or (lambda word, documents: sum(word in words for words in documents))

    def wrong(query_, documents, k1=1.5, b=0.75):
        k1 = k1 if k1_used is None else k1_used
        b = b if b_used is None else b_used
        lengths = [length(words) for words in documents]
        middle = (mean or np.mean)(lengths)
        scores = []
        for words, n_words in zip(documents, lengths):
            norm = 1 - b + b * n_words / middle
            score = 0.0
            for word in query(query_):
                f, n = words.count(word), found(word, documents)
                if f:
                    score += idf(len(documents), n) * part(f, k1, norm)
            scores.append(score)
        return np.array(scores)

    return wrong


def _inverse_length(query, documents, k1=1.5, b=0.75):
    lengths = np.array([max(1, len(words)) for words in documents])
    mean = np.mean([len(words) for words in documents])
    scores = np.zeros(len(documents))
    for word in query:
        f = np.array([words.count(word) for words in documents])
        n = (f > 0).sum()
        scores += math.log(1 + (len(documents) - n + 0.5) / (n + 0.5)) * f / (f + k1 * (1 - b + b * mean / lengths))
    return scores


_BM25_WRONG = {
    "no_length": (_bm25(b_used=0.0),),
    "repeated_words_once": (_bm25(query=lambda query: list(dict.fromkeys(query))),),
    "length_upside_down": (_inverse_length,),
    "classical_idf": (_bm25(idf=lambda N, n: math.log((N - n + 0.5) / (n + 0.5))),),
    "plain_idf": (_bm25(idf=lambda N, n: math.log(N / n)),),
    "no_idf": (_bm25(idf=lambda N, n: 1.0),),
    "idf_in_other_logarithm": (
        _bm25(idf=lambda N, n: math.log2(1 + (N - n + 0.5) / (n + 0.5))),
        _bm25(idf=lambda N, n: math.log10(1 + (N - n + 0.5) / (n + 0.5))),
    ),
    "occurrences_not_documents": (
        _bm25(
            found=lambda word, documents: sum(words.count(word) for words in documents),
            idf=lambda N, n: math.log(1 + abs(N - n + 0.5) / (n + 0.5)),  # n may be above N
        ),
    ),
    "times_k1_plus_1": (_bm25(part=lambda f, k1, norm: f * (k1 + 1) / (f + k1 * norm)),),
    "no_saturation": (_bm25(part=lambda f, k1, norm: f), _bm25(part=lambda f, k1, norm: f / norm)),
    "there_or_not": (_bm25(part=lambda f, k1, norm: 1 / (1 + k1 * norm)),),
    "different_words": (_bm25(length=lambda words: len(set(words))),),
    "constants_fixed": (_bm25(k1_used=1.5, b_used=0.75),),
    "b_outside_k1": (_bm25(part=lambda f, k1, norm: f / (f + k1 + norm - 1)),),
}
_BM25_HINTS = {
    "repeated_words_once": "A word that stands twice in the query counts twice. You made a set of it.",
    "no_length": "The length of a document plays no part. Divide it by the mean length, with weight b.",
    "length_upside_down": "Yours punishes short documents: it is length / mean length, not the other way round.",
    "classical_idf": "The 1 inside the logarithm is missing: a word of more than half of the documents gets a negative weight.",
    "plain_idf": "That is log(N / n). BM25's weight of a word is log(1 + (N - n + 0.5) / (n + 0.5)).",
    "no_idf": "Every word weighs the same. A rare one should count more: multiply by its idf.",
    "idf_in_other_logarithm": "Take the natural logarithm, math.log or np.log.",
    "occurrences_not_documents": "n is in how many documents the word is, not how often it occurs in all of them.",
    "times_k1_plus_1": "You multiply by k1 + 1, as some versions do. It changes no ranking; the formula here has none.",
    "no_saturation": "Your scores grow with f for ever. Divide by f + k1 (...), so that they level off.",
    "there_or_not": "You ask whether the word is there. Count how often: f.",
    "different_words": "The length is the number of all words of the document, not of different ones.",
    "constants_fixed": "You use 1.5 and 0.75 whatever k1 and b are given.",
    "b_outside_k1": "k1 multiplies the whole bracket (1 - b + b length / mean).",
}


# mrr


def _mrr_oracle(rankings, relevant):
    """Each question by itself, place by place."""
    values = []
    for ranking, right in zip(rankings, relevant):
        value = 0.0
        for place in range(len(ranking) - 1, -1, -1):
            if ranking[place] in right:
                value = 1.0 / (place + 1)
        values.append(value)
    return sum(values) / len(values)


def _mrr_sample(rng):
    ids = [f"d{i}" for i in range(8)]
    rankings, relevant = [], []
    for _ in range(rng.integers(1, 6)):
        rankings.append([str(id) for id in rng.permutation(ids)[: rng.integers(2, 9)]])
        relevant.append({str(id) for id in rng.choice(ids, rng.integers(1, 4))})
    return rankings, relevant


_mrr_random = [_mrr_sample(np.random.default_rng(seed)) for seed in range(20, 30)]


def _mrr_probes():
    return [
        ([["a", "b", "c", "d"], ["b", "a", "d", "c"], ["c", "d", "b", "a"]], [{"b", "d"}, {"b"}, {"a", "b"}]),
        ([["a", "b"], ["c", "b", "a"], ["d"]], [{"z"}, {"a", "b"}, {"d", "q"}]),
        ([["e", "d", "c", "b", "a"]], [{"a", "c"}]),
    ]


def _ranks(ranking, right):
    return [place for place, id in enumerate(ranking, 1) if id in right]


def _mean_of(value, found_only=False, finish=lambda x: x):
    """The mean over questions of a value made from the ranks of the right ids, the ranking and the right ids."""

    def wrong(rankings, relevant):
        parts = [(_ranks(ranking, right), ranking, right) for ranking, right in zip(rankings, relevant)]
        values = [value(*part) for part in parts if part[0] or not found_only]
        return finish(sum(values) / len(values)) if values else 0.0

    return wrong


_MRR_WRONG = {
    "rank_from_zero": (_mean_of(lambda ranks, ranking, right: 1 / (ranks[0] + 1) if ranks else 0.0),),
    "last_right_one": (_mean_of(lambda ranks, ranking, right: 1 / ranks[-1] if ranks else 0.0),),
    "sum_over_right_ones": (_mean_of(lambda ranks, ranking, right: sum(1 / rank for rank in ranks)),),
    "mean_over_right_ones": (_mean_of(lambda ranks, ranking, right: float(np.mean([1 / rank for rank in ranks])) if ranks else 0.0),),
    "mean_rank": (_mean_of(lambda ranks, ranking, right: float(ranks[0]) if ranks else 0.0),),
    "reciprocal_of_the_mean": (_mean_of(lambda ranks, ranking, right: float(ranks[0]), True, lambda x: 1 / x),),
    "unfound_left_out": (_mean_of(lambda ranks, ranking, right: 1 / ranks[0], True),),
    "unfound_behind_the_end": (_mean_of(lambda ranks, ranking, right: 1 / (ranks[0] if ranks else len(ranking) + 1)),),
    "only_the_first_place": (_mean_of(lambda ranks, ranking, right: float(ranks[:1] == [1])),),
    "found_or_not": (_mean_of(lambda ranks, ranking, right: float(bool(ranks))),),
    "from_the_bottom": (_mean_of(lambda ranks, ranking, right: 1 / (len(ranking) + 1 - ranks[0]) if ranks else 0.0),),
    "not_divided": (lambda rankings, relevant: len(rankings) * _mrr_oracle(rankings, relevant),),
}
_MRR_HINTS = {
    "rank_from_zero": "Your best place gives 1/2. Ranks begin at 1, so the top gives 1: enumerate(ranking, 1).",
    "last_right_one": "You take the last right document of the list. The customer stops at the first.",
    "sum_over_right_ones": "You add up all right documents. Only the first one in the list counts.",
    "mean_over_right_ones": "You average over all right documents. Only the first one in the list counts.",
    "mean_rank": "That is the mean rank. Take 1 / rank before you average.",
    "reciprocal_of_the_mean": "1 / mean is not the mean of 1 / rank. Take the reciprocal of each question first.",
    "unfound_left_out": "You average over the questions that were found. Those without a right document count as 0.",
    "unfound_behind_the_end": "Where the list has no right document the question gives 0, not a rank behind its end.",
    "only_the_first_place": "That is how often the first place is right. A second place gives 1/2.",
    "found_or_not": "That is how often a right document is anywhere in the list. Where it stands must count.",
    "from_the_bottom": "The best stands first. You count from the end of the list.",
    "not_divided": "That is the sum. Divide by the number of questions.",
}


# retry_with_backoff


class Temporary(Exception):
    """What a call of the tests raises where another try may help."""

    def __init__(self, retry_after=None):
        super().__init__("the service is busy")
        self.retry_after = retry_after


class Service:
    """Fails and answers by a script: None or seconds is a temporary failure, "fatal" another one, "ok" an answer."""

    def __init__(self, script, draws):
        self.script, self.draws, self.calls, self.waits = script, itertools.cycle(draws), 0, []

    def call(self):
        event = self.script[min(self.calls, len(self.script) - 1)]
        self.calls += 1
        if event == "ok":
            return 100 + self.calls
        error = ValueError("wrong key") if event == "fatal" else Temporary(event)
        error.number = self.calls
        raise error

    def sleep(self, seconds):
        self.waits.append(float(seconds))

    def random(self):
        return next(self.draws)


def _retried(work, script, draws, *settings):
    """What a learner's function does with a service: how it ended, how many calls, how many waits, and which."""
    service = Service(script, draws)
    try:
        value = work(service.call, Temporary, service.sleep, service.random, *settings)
    except (Temporary, ValueError) as error:
        if not hasattr(error, "number"):
            raise
        return _ended(f"raises the {type(error).__name__} of call {error.number}", service.calls, service.waits)
    if value is None:
        return _ended("returns None", service.calls, service.waits)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Failed("What call() returned is a number here; your function returned something else.")
    return _ended(f"returns the answer of call {value - 100}", service.calls, service.waits)


def _ended(how, calls, waits):
    return how, calls, len(waits), waits


def _retry_arguments(script, draws, *settings):
    service = Service(script, draws)
    return service.call, Temporary, service.sleep, service.random, *settings


def _retry_oracle(script, draws, attempts=4, base=0.5, cap=8.0, budget=20.0):
    """The same from the script, without calling anything."""
    waits, random = [], itertools.cycle(draws)
    for number in range(1, attempts + 1):
        event = script[min(number, len(script)) - 1]
        if event == "ok":
            return _ended(f"returns the answer of call {number}", number, waits)
        if event == "fatal":
            return _ended(f"raises the ValueError of call {number}", number, waits)
        longest = base
        for _ in range(number - 1):
            longest += longest
        wait = next(random) * (cap if cap < longest else longest)
        if event is not None and event > wait:
            wait = event
        if number == attempts or math.fsum([*waits, wait]) > budget:
            return _ended(f"raises the Temporary of call {number}", number, waits)
        waits.append(float(wait))


def _retry_sample(rng):
    events = [None, None, None, "ok", "fatal", float(rng.integers(1, 40) / 8), float(rng.integers(1, 8) / 8)]
    script = tuple(events[i] for i in rng.integers(0, len(events), rng.integers(1, 8)))
    draws = tuple(float(d) for d in rng.integers(1, 16, 7) / 16)
    settings = int(rng.integers(1, 8)), float(rng.integers(1, 9) / 4), float(rng.integers(4, 20) / 4), float(rng.integers(1, 60) / 4)
    return (script, draws, *settings) if rng.integers(4) else (script, draws)


_retry_random = [_retry_sample(np.random.default_rng(seed)) for seed in range(40, 60)]
_DRAWS = (0.5, 0.75, 0.25, 0.875, 0.625, 0.375)


def _retry_probes():
    return [
        ((None, None, None, "ok"), _DRAWS, 6, 0.5, 64.0, 99.0),
        ((None,), _DRAWS, 5, 1.0, 3.0, 99.0),
        ((None, 3.0, 0.5, None, "ok"), _DRAWS, 7, 2.0, 2.5, 99.0),
        ((None, "fatal"), _DRAWS, 4, 1.0, 9.0, 99.0),
        ((None,), _DRAWS, 9, 1.0, 4.0, 4.0),
        ((2.0,), (0.5,), 9, 1.0, 4.0, 6.0),
        ((9.0, "ok"), _DRAWS, 3, 1.0, 4.0, 5.0),
        ((None, "ok"), _DRAWS, 1, 1.0, 4.0, 5.0),
    ]


def _retry(grow=lambda base, n: base * 2 ** (n - 1), jitter=lambda draw, longest: draw * longest, ceiling=min,
           after=lambda wait, wanted, cap: max(wait, wanted or 0.0), more=0, too_long=lambda waited, wait, budget: waited + wait > budget,
           extra=(), sleep_last=False, give_none=False, cut=False, first_error=False):
    """retry_with_backoff with a part changed."""

    def wrong(call, temporary, sleep, random, attempts=4, base=0.5, cap=8.0, budget=20.0):
        waited, errors = 0.0, []
        for n in range(1, attempts + more + 1):
            try:
                return call()
            except (temporary, *extra) as error:
                errors.append(error)
                wait = after(jitter(random(), ceiling(cap, grow(base, n))), getattr(error, "retry_after", None), cap)
                last = n == attempts + more
                if last and sleep_last:
                    sleep(wait)
                if cut and waited < budget:
                    wait = min(wait, budget - waited)
                if last or too_long(waited, wait, budget):
                    if give_none:
                        return None
                    raise errors[0] if first_error else error
            sleep(wait)
            waited += wait

    return wrong


_RETRY_WRONG = {
    "no_jitter": (
        _retry(jitter=lambda draw, longest: longest),
        _retry(jitter=lambda draw, longest: longest, after=lambda wait, wanted, cap: wait, too_long=lambda waited, wait, budget: False),
    ),
    "jitter_on_top": (_retry(jitter=lambda draw, longest: longest + draw), _retry(jitter=lambda draw, longest: longest * (1 + draw))),
    "half_jitter": (_retry(jitter=lambda draw, longest: longest * (0.5 + draw / 2)),),
    "always_the_same_wait": (_retry(grow=lambda base, n: base),),
    "linear_growth": (_retry(grow=lambda base, n: base * n),),
    "doubled_too_early": (_retry(grow=lambda base, n: base * 2**n),),
    "no_cap": (_retry(ceiling=lambda cap, longest: longest),),
    "cap_behind_the_jitter": (_retry(ceiling=lambda cap, longest: longest, after=lambda wait, wanted, cap: max(min(cap, wait), wanted or 0.0)),),
    "retry_after_ignored": (_retry(after=lambda wait, wanted, cap: wait),),
    "retry_after_replaces": (_retry(after=lambda wait, wanted, cap: wait if wanted is None else wanted),),
    "retry_after_added": (_retry(after=lambda wait, wanted, cap: wait + (wanted or 0.0)),),
    "retry_after_capped": (_retry(after=lambda wait, wanted, cap: min(cap, max(wait, wanted or 0.0))),),
    "every_error_retried": (_retry(extra=(Exception,)),),
    "one_call_more": (_retry(more=1),),
    "one_call_less": (_retry(more=-1),),
    "budget_ignored": (_retry(too_long=lambda waited, wait, budget: False),),
    "budget_for_each_wait": (_retry(too_long=lambda waited, wait, budget: wait > budget),),
    "budget_noticed_too_late": (
        _retry(too_long=lambda waited, wait, budget: waited > budget),
        _retry(too_long=lambda waited, wait, budget: waited >= budget),
    ),
    "wait_cut_to_the_rest": (_retry(cut=True),),
    "budget_must_not_be_reached": (_retry(too_long=lambda waited, wait, budget: waited + wait >= budget),),
    "waits_before_giving_up": (_retry(sleep_last=True),),
    "failure_swallowed": (_retry(give_none=True),),
    "first_error_raised": (_retry(first_error=True),),
}
_RETRY_HINTS = {
    "no_jitter": "You wait the longest time itself. A thousand clients that failed together come back together: multiply by random().",
    "jitter_on_top": "You add the jitter to the full wait. Here it is a share of it: random() * min(...).",
    "half_jitter": "You wait at least half of the longest time. Full jitter begins at 0.",
    "always_the_same_wait": "Your waits don't grow. Each failure doubles the longest one: base * 2 ** (n - 1).",
    "linear_growth": "Yours grow by base each time. They must double.",
    "doubled_too_early": "The first wait is up to base, not 2 base: the exponent is n - 1.",
    "no_cap": "Nothing holds the waits below cap. Take min(cap, ...) before the jitter.",
    "cap_behind_the_jitter": "You hold the product below cap. Hold the longest wait below it, then multiply: random() * min(cap, ...).",
    "retry_after_ignored": "The service said when to come back, in .retry_after, and you come earlier.",
    "retry_after_replaces": "Where your own wait is longer than .retry_after it counts: take the larger of the two.",
    "retry_after_added": "You add .retry_after to your own wait. Take the larger of the two.",
    "retry_after_capped": "cap is for your own wait. What the service asks for may be more.",
    "every_error_retried": "You try again after every error. A wrong key is wrong the second time, too: catch `temporary` only.",
    "one_call_more": "attempts counts all calls, the first one included. Yours makes one more.",
    "one_call_less": "attempts counts all calls, the first one included. Yours makes one less.",
    "budget_ignored": "Your waits add up beyond budget. Give up before the wait that would pass it.",
    "budget_for_each_wait": "You compare each wait with the budget. It is for all waits together.",
    "budget_noticed_too_late": "You notice that the budget is spent after you have overspent it. Add the coming wait before you compare.",
    "wait_cut_to_the_rest": "You shorten the wait that doesn't fit into the budget. Give up at once: an early call comes too early.",
    "budget_must_not_be_reached": "The budget may be used up to its end: only more than it is too much.",
    "waits_before_giving_up": "After the last call there is nothing to wait for.",
    "failure_swallowed": "You return None where all calls failed, and the caller takes it for an answer. Raise the last error.",
    "first_error_raised": "You raise the first failure. The caller should get the last one: a bare raise in the except block.",
}


# verify_audit_log


def _chain(entries):
    """A sound log of these entries."""
    records, previous = [], "0" * 64
    for entry in entries:
        digest = hashlib.sha256(f"{previous}{entry}".encode()).hexdigest()
        records.append({"entry": entry, "previous": previous, "hash": digest})
        previous = digest
    return records


def _changed(records, i, **parts):
    return [{**record, **parts} if place == i else record for place, record in enumerate(records)]


def _rehashed(records, i, entry):
    """An entry changed, and the hash of its own record made anew."""
    return _changed(records, i, entry=entry, hash=hashlib.sha256((records[i]["previous"] + entry).encode()).hexdigest())


_LOG = _chain([f"user {i} asked" for i in range(6)])
_END = _LOG[-1]["hash"]


def _audit_oracle(records, last=""):
    """Build the right log again and look for the first difference."""
    right = _chain([record["entry"] for record in records])
    for i, (record, wanted) in enumerate(zip(records, right)):
        if record != wanted:
            return i
    end = right[-1]["hash"] if right else "0" * 64
    return -1 if last in ("", end) else len(records)


_audit_sound = [(_LOG,), (_LOG, _END), ([],), ([], "0" * 64), (_chain(["é", "", "x"]),)]
_audit_edited = [(_changed(_LOG, i, entry="nobody asked"),) for i in (0, 3, 5)] + [(_changed(_LOG, 2, hash="f" * 64), _END)]
_audit_linked = [(_rehashed(_LOG, i, "nobody asked"), end) for i in (0, 2, 4) for end in ("", _END)]
_audit_moved = [(_LOG[1:],), (_LOG[:2] + _LOG[3:],), ([_LOG[1], _LOG[0], *_LOG[2:]],), (_LOG[:3] + _LOG[2:],)]
_audit_ends = [(_LOG[:4], _END), ([], _END), (_chain([*(r["entry"] for r in _LOG[:5]), "else"]), _END), (_LOG, _LOG[2]["hash"]), (_LOG, "0" * 64)]


def _audit_sample(rng):
    log = _chain([f"entry {rng.integers(100)}" for _ in range(rng.integers(1, 6))])
    i, kind, end = int(rng.integers(len(log))), int(rng.integers(6)), log[-1]["hash"]
    changed = [
        log, _changed(log, i, entry="else"), _rehashed(log, i, "else"), log[:i] + log[i + 1 :],
        _changed(log, i, previous="a" * 64), log[:-1],
    ][kind]  # fmt: skip
    return (changed, end) if rng.integers(2) else (changed,)


def _audit_probes():
    first = hashlib.sha256(("1" * 64 + "x").encode()).hexdigest()
    moved = [{"entry": "x", "previous": "1" * 64, "hash": first}]
    return [
        (_LOG, _END), (_changed(_LOG, 3, entry="else"),), (_rehashed(_LOG, 2, "else"), _END), (_LOG[:4], _END), (moved,),
        (_changed(_changed(_LOG, 1, entry="p"), 4, entry="q"), "f" * 64), ([], _END), (_LOG[2:],), (_changed(_LOG, 0, hash="e" * 64),),
        (_rehashed(_LOG, 5, "else"),), (_LOG, _LOG[0]["hash"]),
    ]  # fmt: skip


def _audit(link=True, own=True, start=True, anchor=lambda records, previous, last: len(records) if last and last != previous else -1,
           which=lambda bad, records: bad[0], digest=lambda record: record["previous"] + record["entry"]):
    """verify_audit_log with a part changed."""

    def wrong(records, last=""):
        bad, previous = [], "0" * 64
        for i, record in enumerate(records):
            linked = record["previous"] == previous or not link or (i == 0 and not start)
            right = hashlib.sha256(digest(record).encode()).hexdigest() == record["hash"] or not own
            if not (linked and right):
                bad.append(i)
            previous = record["hash"]
        return which(bad, records) if bad else anchor(records, previous, last)

    return wrong


_AUDIT_WRONG = {
    "entry_alone_hashed": (_audit(digest=lambda record: record["entry"]),),
    "links_only": (_audit(own=False),),
    "hashes_only": (_audit(link=False), _audit(link=False, anchor=lambda records, previous, last: -1)),
    "start_not_checked": (_audit(start=False),),
    "anchor_ignored": (_audit(anchor=lambda records, previous, last: -1),),
    "anchor_anywhere": (_audit(anchor=lambda records, previous, last: len(records) if last and last not in [r["hash"] for r in records] else -1),),
    "anchor_at_the_last_record": (_audit(anchor=lambda records, previous, last: len(records) - 1 if last and last != previous else -1),),
    "last_bad_one": (_audit(which=lambda bad, records: bad[-1]),),
    "counted_from_one": (_audit(which=lambda bad, records: bad[0] + 1),),
    "number_of_bad_ones": (_audit(which=lambda bad, records: len(bad)),),
    "good_or_not": (lambda records, last="": _audit_oracle(records, last) == -1,),
}
_AUDIT_HINTS = {
    "links_only": "You compare the links but never compute a hash. Whoever edits an entry leaves the links alone.",
    "hashes_only": "You check each record by itself. Its `previous` must also be the hash of the record before it.",
    "start_not_checked": 'The first record must have "0" * 64 as `previous`; otherwise the beginning can be cut off.',
    "anchor_ignored": "You never use `last`. A log that was cut short is a sound chain; only its end gives it away.",
    "anchor_anywhere": "The log must END with `last`. You are content if that hash stands somewhere in it.",
    "anchor_at_the_last_record": "A wrong end with good records gives len(records): the record that should follow is missing.",
    "last_bad_one": "You return the last bad record. Wanted is the first.",
    "counted_from_one": "Indices begin at 0.",
    "number_of_bad_ones": "You count the bad records. Return the index of the first one.",
    "good_or_not": "You return True or False. Wanted is an index, or -1.",
    "entry_alone_hashed": "What you hash is not previous + entry, in this order. Without `previous` in it there is no chain.",
}


# access_is_safe

_PERMISSIONS = {"customer": {"ask"}, "operator": {"ask", "metrics"}, "auditor": {"log"}}


class Door:
    """Tokens and a check of access, with the faults that it is told to have."""

    def __init__(self, name, permissions=None, **faults):
        self.name, self.permissions, self.faults = name, permissions or _PERMISSIONS, faults

    def sign(self, text):
        return hashlib.sha256(f"secret {text}".encode()).hexdigest()[:6]

    def seal(self, role, expires):
        unsigned = self.faults.get("unsigned")
        return self.sign(f"{'' if unsigned == 'role' else role}.{'' if unsigned == 'expiry' else expires}")

    def issue(self, role, expires):
        return f"{role}.{expires}.{self.seal(role, expires)}"

    def allowed(self, token, action, now):
        fault = self.faults.get
        if token == "":
            return bool(fault("empty"))
        role, expires, signature = ([*token.split("."), "", "", ""])[:3]
        right = self.seal(role, expires)
        if any(signature[i : i + 1] != right[i] for i in fault("read", range(6))) or fault("read") is None and signature != right:
            return False
        if not expires.isdecimal() or token.count(".") != 2:
            return False
        if now >= int(expires) + fault("late", 0):
            return False
        if fault("open") and not any(action in own for own in self.permissions.values()):
            return True
        if fault("guests") and role not in self.permissions:
            return True
        if fault("refused"):
            return False
        own = set().union(*self.permissions.values()) if fault("all") else self.permissions.get(role, set())
        return action in own and not (fault("missing") == (role, action))

    def __repr__(self):
        return "<a check of access>"


_MORE = {"reader": {"read"}, "writer": {"read", "write"}}
_DOORS = {
    door.name: door
    for door in (
        Door("right"),
        Door("right, other roles", _MORE),
        Door("no token expires", late=10**9),
        Door("one second too long", late=1),
        Door("a day too long", late=86400),
        Door("unlisted actions open", open=True),
        Door("unknown roles open", guests=True),
        Door("every role may all", all=True),
        Door("signature not read", read=()),
        Door("start of the signature read", read=(0, 1, 2)),
        Door("end of the signature read", read=(4, 5)),
        Door("third place of the signature not read", _MORE, read=(0, 1, 3, 4, 5)),
        Door("fourth place of the signature not read", _MORE, read=(0, 1, 2, 4, 5)),
        Door("expiry not signed", unsigned="expiry"),
        Door("role not signed", unsigned="role"),
        Door("nobody may anything", refused=True),
        Door("one permission forgotten", missing=("operator", "metrics")),
        Door("empty token is good", empty=True),
        Door("every role may all, other roles", _MORE, all=True),
        Door("unlisted actions open, other roles", _MORE, open=True),
    )
}


def _doored(work, name):
    door = _DOORS[name]
    return work(door.allowed, door.issue, {role: set(own) for role, own in door.permissions.items()})


def _door_arguments(name):
    door = _DOORS[name]
    return door.allowed, door.issue, {role: set(own) for role, own in door.permissions.items()}


def _door_oracle(name):
    return name.startswith("right")


def _door_check(why, *names):
    return case_check([(name,) for name in names], _door_oracle, why)


def _door_sample(rng):
    return (str(rng.choice(list(_DOORS))),)


def _door_probes():
    return [(name,) for name in _DOORS]


def _other_letter(old):
    return "b" if old == "a" else "a"


def _guard(permitted=True, refused=True, late=(100,), unlisted=True, strangers=True, forge=lambda token: range(len(token)),
           new=lambda old: str(9 - int(old)) if old.isdecimal() else _other_letter(old), swap=True,
           empty=True, roles=lambda permissions: [*permissions], negated=False):
    """access_is_safe with a part changed."""

    def wrong(allowed, issue, permissions):
        actions = set().union(*permissions.values()) | ({"unheard of"} if unlisted else set())
        safe = True
        for role in roles(permissions) + (["stranger"] if strangers else []):
            token = issue(role, 100)
            for action in actions:
                may = action in permissions.get(role, ())
                if may and permitted and not allowed(token, action, 99):
                    safe = False
                if not may and refused and allowed(token, action, 99):
                    safe = False
                safe &= not any(allowed(token, action, now) for now in late)
                for i in forge(token):
                    safe &= not allowed(token[:i] + new(token[i]) + token[i:][1:], action, 99)
                for other in {*permissions} - {role} if swap else ():
                    safe &= not allowed(token.replace(role, other), action, 99)
                safe &= not (empty and allowed("", action, 99))
        return safe != negated

    return wrong


_GUARD_WRONG = {
    "answer_turned_round": (_guard(negated=True),),
    "refusals_only": (_guard(permitted=False),),
    "permissions_only": (
        _guard(refused=False),
        _guard(refused=False, late=(), unlisted=False, strangers=False, forge=lambda token: (), swap=False, empty=False),
    ),
    "expiry_not_tried": (_guard(late=()),),
    "expiry_tried_later": (_guard(late=(101,)), _guard(late=(1000,)), _guard(late=(10**6,))),
    "unlisted_action_not_tried": (_guard(unlisted=False),),
    "unknown_role_not_tried": (_guard(strangers=False),),
    "forgery_not_tried": tuple(_guard(forge=lambda token: (), swap=swap) for swap in (False, True)),
    "last_character_only": tuple(_guard(forge=lambda token: [-1 % len(token)], swap=swap) for swap in (False, True)),
    "some_places_only": tuple(
        _guard(forge=lambda token, start=start: range(start, len(token), 2), swap=swap) for start in (0, 1) for swap in (False, True)
    ),
    "no_digit_for_a_digit": tuple(_guard(new=_other_letter, swap=swap) for swap in (False, True)),
    "roles_not_exchanged": (_guard(swap=False),),
    "empty_token_not_tried": (_guard(empty=False),),
    "first_role_only": (_guard(roles=lambda permissions: [*permissions][:1], strangers=False, unlisted=True),),
}
_GUARD_HINTS = {
    "answer_turned_round": "You return True where you found a fault. True means safe.",
    "refusals_only": "A check that refuses everything passes your test. Try that what is permitted works.",
    "permissions_only": "You try only what is permitted. Try for each role what others may and it may not.",
    "expiry_not_tried": "You never come too late. Call allowed with a now that is not before expires.",
    "expiry_tried_later": "You come late by more than the smallest step. At now == expires the token is no longer good.",
    "unlisted_action_not_tried": "Try an action that stands in nobody's list. Denied by default means that, too.",
    "unknown_role_not_tried": "Try a token for a role that permissions doesn't know. It may do nothing.",
    "forgery_not_tried": "A forged token got through. Change one character of a good one, at EVERY place in turn.",
    "last_character_only": "You change the last character only. Some checks compare only the end of a signature.",
    "some_places_only": "You leave places out. Some checks skip one character: change EVERY place in turn.",
    "no_digit_for_a_digit": "A token with another expiry got through. At every place, the digits of the expiry as well, put "
    "another digit for a digit.",
    "roles_not_exchanged": "A customer who writes operator into the token got through: token.replace(role, other).",
    "empty_token_not_tried": 'Try "": somebody who comes without a token.',
    "first_role_only": "You try one role. Another may have rights that it shouldn't, or lack one.",
}


EXERCISES = (
    Exercise(
        id="question_answering_service.bm25_score",
        reference=bm25_score,
        difficulty=3,
        minutes=15,
        section="BM25",
        hints=(
            "Begin with one word: how often it stands in each document, f, and in how many documents, n.",
            "Then its idf, a number, and f / (f + k1 (...)), an array over documents. Add up over the words of the query.",
            "idf = math.log(1 + (N - n + 0.5) / (n + 0.5)); the bracket is 1 - b + b * lengths / lengths.mean().",
        ),
        checks=(
            Check("by hand", case_check([(["free"], _BM25_DOCUMENTS), (["return"], _BM25_DOCUMENTS)], _bm25_oracle)),
            Check("several words", case_check([(["in", "days", "free"], _BM25_DOCUMENTS), (["in", "in"], _BM25_DOCUMENTS)], _bm25_oracle)),
            Check("nothing known", case_check([(["new"], _BM25_DOCUMENTS), ([], _BM25_DOCUMENTS), (["a"], [["a"], []])], _bm25_oracle,
                                               "Here a word or a document is empty or unknown.")),
            Check("k1 and b", case_check([(["return"], _BM25_DOCUMENTS, 0.5, 0.0), (["return", "in"], _BM25_DOCUMENTS, 2.0, 1.0)], _bm25_oracle)),
            Check("random documents", case_check(_bm25_random, _bm25_oracle)),
        ),
        misconceptions=misconceptions_of(_BM25_WRONG, _BM25_HINTS),
        probes=_bm25_probes,
        sample=_bm25_sample,
    ),
    Exercise(
        id="question_answering_service.mrr",
        reference=mrr,
        difficulty=2,
        minutes=8,
        section="How good is a search?",
        hints=(
            "One question first: at which place, counted from 1, is the first id that is among the right ones?",
            "Its value is 1 / that place, and 0 where there is none. Then the mean over all questions.",
            "ranks = [rank for rank, id in enumerate(ranking, 1) if id in right]",
        ),
        checks=(
            Check("by hand", case_check([([["a", "b"]], [{"a"}]), ([["a", "b"]], [{"b"}]), ([["a", "b"], ["b", "a"]], [{"a"}, {"a"}])], _mrr_oracle)),
            Check("several right ones", case_check([([["a", "b", "c", "d"]], [{"b", "d"}]), ([["c", "a", "b"]], [{"a", "b"}])], _mrr_oracle)),
            Check("not found", case_check([([["a", "b"], ["c"]], [{"z"}, {"c"}]), ([[], ["a"]], [{"z"}, {"a"}]), ([["a"]], [{"b"}])], _mrr_oracle,
                                           "One list has no right document.")),
            Check("random lists", case_check(_mrr_random, _mrr_oracle)),
        ),
        misconceptions=misconceptions_of(_MRR_WRONG, _MRR_HINTS),
        probes=_mrr_probes,
        sample=_mrr_sample,
    ),
    Exercise(
        id="question_answering_service.retry_with_backoff",
        reference=retry_with_backoff,
        difficulty=4,
        minutes=20,
        section="A client that can't hang",
        returns=("ending", "number of calls", "number of waits", "waits"),
        hints=(
            "A loop over the attempts; inside it try: return call(), and except temporary as error.",
            "wait = max(random() * min(cap, base * 2 ** (n - 1)), error.retry_after or 0). Keep the sum of the waits.",
            "In the except block: if it was the last attempt, or waited + wait > budget, a bare raise. Sleep after it.",
        ),
        checks=(
            Check("works soon", case_check([((None, "ok"), _DRAWS), (("ok",), _DRAWS), ((None, None, "ok"), (1 / 3,))], _retry_oracle)),
            Check("waits double up to cap", case_check([((None,), (0.5,), 8, 1.0, 5.0, 99.0), ((None,), _DRAWS, 6, 0.25, 1.0, 99.0)], _retry_oracle)),
            Check("the service says when", case_check([((3.0, "ok"), _DRAWS), ((0.01, "ok"), _DRAWS), ((12.0, 0.0, "ok"), _DRAWS)], _retry_oracle,
                                                       "The failure has a .retry_after.")),
            Check("other errors", case_check([(("fatal",), _DRAWS), ((None, "fatal"), _DRAWS)], _retry_oracle, "A ValueError is not temporary.")),
            Check("gives up", case_check([((None,), _DRAWS), ((None,), _DRAWS, 1), ((None, None, "ok"), _DRAWS, 2)], _retry_oracle)),
            Check("budget", case_check([((None,), (0.5,), 9, 2.0, 8.0, 3.0), ((2.0,), (0.5,), 9, 1.0, 2.0, 4.0), ((30.0,), _DRAWS)], _retry_oracle,
                                        "The waits together may take `budget` seconds.")),
            Check("random services", case_check(_retry_random, _retry_oracle)),
        ),
        misconceptions=misconceptions_of(_RETRY_WRONG, _RETRY_HINTS),
        probes=_retry_probes,
        sample=_retry_sample,
        drive=_retried,
        arguments=_retry_arguments,
    ),
    Exercise(
        id="question_answering_service.access_is_safe",
        reference=access_is_safe,
        difficulty=4,
        minutes=20,
        section="Who may do what",
        hints=(
            "Loop over the roles and one that isn't listed, and over all actions and one that isn't listed. What must allowed say?",
            "With issue(role, 100): at 99 it must be action in permissions.get(role, ()), at 100 always False.",
            "Then forge: for every i exchange token[i] for another digit or letter; put other roles' names in; and try \"\". "
            "None of these may open anything.",
        ),
        checks=(
            Check("right ones", _door_check("This one is safe.", "right", "right, other roles")),
            Check("time", _door_check("This one takes expired tokens.", "no token expires", "one second too long", "a day too long")),
            Check("rights", _door_check("This one gives too much.", "every role may all", "unlisted actions open", "unknown roles open",
                                        "every role may all, other roles", "unlisted actions open, other roles")),
            Check("forgeries", _door_check("This one takes forged tokens.", "signature not read", "start of the signature read",
                                           "end of the signature read", "empty token is good",
                                           "third place of the signature not read", "fourth place of the signature not read",
                                           "expiry not signed", "role not signed")),
            Check("too little", _door_check("This one gives too little.", "nobody may anything", "one permission forgotten")),
        ),
        misconceptions=misconceptions_of(_GUARD_WRONG, _GUARD_HINTS),
        probes=_door_probes,
        sample=_door_sample,
        drive=_doored,
        arguments=_door_arguments,
    ),
    Exercise(
        id="question_answering_service.verify_audit_log",
        reference=verify_audit_log,
        difficulty=3,
        minutes=12,
        section="A log that shows its edits",
        hints=(
            'Walk through the log with the hash that the next record must name: "0" * 64 at first, then each record\'s own.',
            "Two things can be wrong with a record: its `previous`, and its `hash`. Compute the second one yourself.",
            'hashlib.sha256((record["previous"] + record["entry"]).encode()).hexdigest(). At the end compare with last, if given.',
        ),
        checks=(
            Check("sound logs", case_check(_audit_sound, _audit_oracle, "This log is sound.")),
            Check("an entry edited", case_check(_audit_edited, _audit_oracle, "An entry or a hash was changed.")),
            Check("edited and hashed anew", case_check(_audit_linked, _audit_oracle, "An entry was changed and its own hash made anew.")),
            Check("records moved", case_check(_audit_moved, _audit_oracle, "Records were taken out, exchanged or doubled.")),
            Check("the end", case_check(_audit_ends, _audit_oracle, "The log doesn't end as it must.")),
        ),
        misconceptions=misconceptions_of(_AUDIT_WRONG, _AUDIT_HINTS),
        probes=_audit_probes,
        sample=_audit_sample,
    ),
)
