"""Wrong answers that the catalogue does not know: rejected, with no hint of another mistake."""

import hashlib

import numpy as np

from bigmodel_nb.exercises.question_answering_service import (
    access_is_safe,
    bm25_score,
    mrr,
    retry_with_backoff,
    verify_audit_log,
)

# bm25_score


def as_list(query, documents, k1=1.5, b=0.75):
    return bm25_score(query, documents, k1, b).tolist()


def best_document(query, documents, k1=1.5, b=0.75):
    return int(bm25_score(query, documents, k1, b).argmax())


def from_zero_to_one(query, documents, k1=1.5, b=0.75):
    scores = bm25_score(query, documents, k1, b)
    return scores / max(scores.max(), 1e-9)


def shared_words(query, documents, k1=1.5, b=0.75):
    return np.array([float(len(set(query) & set(words))) for words in documents])


def mean_over_query(query, documents, k1=1.5, b=0.75):
    return bm25_score(query, documents, k1, b) / max(1, len(query))


def letters_not_words(query, documents, k1=1.5, b=0.75):
    return bm25_score(query, [[letter for word in words for letter in word] for words in documents], k1, b)


# mrr


def best_rank(rankings, relevant):
    return float(min(1 / mrr([r], [s]) if mrr([r], [s]) else 99 for r, s in zip(rankings, relevant)))


def median_rank(rankings, relevant):
    return float(np.median([mrr([r], [s]) for r, s in zip(rankings, relevant)]) + 0.01)


def per_cent(rankings, relevant):
    return 100 * mrr(rankings, relevant)


def each_question(rankings, relevant):
    return [mrr([r], [s]) for r, s in zip(rankings, relevant)]


def discounted(rankings, relevant):
    return float(np.mean([max([1 / np.log2(i + 2) for i, id in enumerate(r) if id in s], default=0.0) for r, s in zip(rankings, relevant)]))


def squared(rankings, relevant):
    return mrr(rankings, relevant) ** 2


# retry_with_backoff


def minutes(call, temporary, sleep, random, *settings):
    return retry_with_backoff(call, temporary, lambda s: sleep(60 * s), random, *settings)


def waits_first(call, temporary, sleep, random, *settings):
    sleep(0.1)
    return retry_with_backoff(call, temporary, sleep, random, *settings)


def calls_twice(call, temporary, sleep, random, *settings):
    call()
    return retry_with_backoff(call, temporary, sleep, random, *settings)


def never_again(call, temporary, sleep, random, *settings):
    return call()


def turned_jitter(call, temporary, sleep, random, *settings):
    return retry_with_backoff(call, temporary, sleep, lambda: 1 - random(), *settings)


def another_error(call, temporary, sleep, random, *settings):
    try:
        return retry_with_backoff(call, temporary, sleep, random, *settings)
    except temporary:
        return -1


def in_tenths(call, temporary, sleep, random, *settings):
    return retry_with_backoff(call, temporary, lambda s: sleep(round(s, 1)), random, *settings)


# verify_audit_log


def always_sound(records, last=""):
    return -1 + 0 * len(records)


def bad_hashes(records, last=""):
    return [i for i in range(len(records)) if verify_audit_log(records[: i + 1]) == i]


def number_checked(records, last=""):
    return len(records)


def none_if_sound(records, last=""):
    found = verify_audit_log(records, last)
    return None if found == -1 else found


def md5_chain(records, last=""):
    for i, record in enumerate(records):
        if hashlib.md5((record["previous"] + record["entry"]).encode()).hexdigest() != record["hash"][:32]:
            return 2 * i + 7
    return -1


def first_record_skipped(records, last=""):
    return verify_audit_log(records[1:], last)


# access_is_safe


def as_word(allowed, issue, permissions):
    return "safe" if access_is_safe(allowed, issue, permissions) else "unsafe"


def always(allowed, issue, permissions):
    return permissions is not None


def never(allowed, issue, permissions):
    return permissions is None


def by_its_name(allowed, issue, permissions):
    return "right" in repr(allowed)


def one_action(allowed, issue, permissions):
    return bool(allowed(issue("customer", 100), "ask", 99)) and not allowed(issue("nobody", 100), "ask", 99)


def none_for_no(allowed, issue, permissions):
    return access_is_safe(allowed, issue, permissions) or None


OUTSIDE = {
    "question_answering_service.bm25_score": [as_list, best_document, from_zero_to_one, shared_words, mean_over_query, letters_not_words],
    "question_answering_service.mrr": [best_rank, median_rank, per_cent, each_question, discounted, squared],
    "question_answering_service.retry_with_backoff": [
        minutes, waits_first, calls_twice, never_again, turned_jitter, another_error, in_tenths,
    ],
    "question_answering_service.verify_audit_log": [
        always_sound, bad_hashes, number_checked, none_if_sound, md5_chain, first_record_skipped,
    ],
    "question_answering_service.access_is_safe": [as_word, always, never, by_its_name, one_action, none_for_no],
}
