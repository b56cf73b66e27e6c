"""Exercises of lesson 08."""

from __future__ import annotations

import math
import string
from collections import Counter, defaultdict

from bigmodel_nb.bytelevel import BYTE_ORDER, cut

from .engine.model import Check, Exercise, Failed, Misconception


def most_frequent_pair(words):
    """The pair of neighbours that stands in a text most often.

    words: dict {tuple of token ids: how often this word stands in the text}
    -> (a, b), or None if no word has two tokens
    Places that overlap all count: 7 7 7 has the pair (7, 7) twice. Of equally frequent pairs the
    smallest is taken: the smaller a, then the smaller b.
    """
    counts = Counter()
    for ids, count in words.items():
        for pair in zip(ids, ids[1:]):
            counts[pair] += count
    if not counts:
        return None
    most = max(counts.values())
    return min(pair for pair, count in counts.items() if count == most)


def merge(ids, pair, new_id):
    """Replace a pair by one token wherever it stands, from left to right.

    ids: list or tuple of token ids; pair: (a, b); new_id: the token that takes their place -> new list
    """
    merged, behind = [], 0  # behind: the first place after the last merge
    for i, token in enumerate(ids):
        if i < behind:
            continue
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
            behind = i + 2
        else:
            merged.append(token)
    return merged


def bpe_train(text, vocab_size, special_tokens=(), prefer=None):
    """Learn a byte-level BPE vocabulary from a text.

    text: str; vocab_size: entries in all; special_tokens: list of str, cut out of the text first
    -> vocab {id: bytes}: the special tokens, the 256 bytes in BYTE_ORDER, then one entry a merge,
       and merges [(bytes, bytes), ...] in the order in which they were learned
    Training ends early if no pair is left. Ties as in `most_frequent_pair`. prefer (not asked of
    you): picks one of the tied pairs of bytes instead, such as max.
    """
    vocab = dict(enumerate([t.encode() for t in special_tokens] + [bytes([b]) for b in BYTE_ORDER]))
    id_of = {token: i for i, token in vocab.items()}
    seen = Counter(piece for piece, special in cut(text, special_tokens) if not special)
    words = [([id_of[bytes([b])] for b in piece.encode()], n) for piece, n in seen.items()]
    counts, places, merges = Counter(), defaultdict(set), []
    for w, (ids, n) in enumerate(words):
        for pair in zip(ids, ids[1:]):
            counts[pair] += n
            places[pair].add(w)
    while len(vocab) < vocab_size and counts:
        most = max(counts.values())
        tied = sorted(pair for pair, n in counts.items() if n == most)
        pair, new_id = tied[0], len(vocab)
        if prefer:
            named = {(vocab[a], vocab[b]): (a, b) for a, b in tied}
            pair = named[prefer(list(named))]
        merges.append((vocab[pair[0]], vocab[pair[1]]))
        vocab[new_id] = vocab[pair[0]] + vocab[pair[1]]
        for w in places.pop(pair):  # only these words change
            ids, n = words[w]
            for old in zip(ids, ids[1:]):
                counts[old] -= n
            ids = merge(ids, pair, new_id)
            for new in zip(ids, ids[1:]):
                counts[new] += n
                places[new].add(w)
            words[w] = ids, n
        counts = +counts  # drops what has gone to 0
    return vocab, merges


def bpe_encode(text, vocab, merges, special_tokens=()):
    """Token ids of a text.

    text: str; vocab {id: bytes}; merges [(bytes, bytes), ...] in the order in which they were
    learned; special_tokens: list of str that become one id each, the longest first -> list of int
    """
    rank = {pair: i for i, pair in enumerate(merges)}
    id_of = {token: i for i, token in vocab.items()}
    known, ids = {}, []
    for piece, special in cut(text, special_tokens):
        if special:
            ids.append(id_of[piece.encode()])
            continue
        if piece not in known:
            tokens = [bytes([b]) for b in piece.encode()]
            for _ in tokens[1:]:  # every merge makes the piece one token shorter
                pairs = [pair for pair in zip(tokens, tokens[1:]) if pair in rank]
                if not pairs:
                    break
                first = min(pairs, key=rank.get)
                tokens = merge(tokens, first, first[0] + first[1])
            known[piece] = [id_of[token] for token in tokens]
        ids += known[piece]
    return ids


def bpe_decode(ids, vocab):
    """The text of token ids.

    ids: list of int; vocab {id: bytes} -> str, with U+FFFD where the bytes are not UTF-8
    """
    tokens = [vocab[i] for i in ids]
    data = b"".join(tokens)
    return data.decode("utf-8", errors="replace")


def is_lossless(encode, decode):
    """Does a tokenizer give back what it was given? A test of it.

    encode: function str -> ids; decode: function ids -> str
    -> True if decode(encode(text)) is text for every text that you try, False if one differs or
    makes them raise an error
    """
    texts = ["", "The wolf said: No, NEVER!", " two  spaces ", "a\n\n\tb\r\n", "\u72fc\u4f4f\u5728\u68ee\u6797\u91cc\u3002"]
    texts += ["caf\u00e9 cafe\u0301 \ufb01sh", "\U0001f43a", "x[i] **= 1_000", "<|endoftext|>", "\x00\x7f\xa0\ufeff"]
    texts += ["wolf " * 300, "qwxzv " + string.printable]
    for text in texts:
        try:
            back = decode(encode(text))
        except Exception:
            return False
        if back != text:
            return False
    return True


# most_frequent_pair


def _words_sample(rng):
    return (_random_words(rng, int(rng.integers(0, 6))),)


def _random_words(rng, n, most=5):
    made = (tuple(rng.integers(0, 4, size=rng.integers(1, 7)).tolist()) for _ in range(n))
    return {ids: int(rng.integers(1, most)) for ids in made}


def _pair_oracle(words):
    """Every place written down, sorted, and the longest run taken."""
    every = [ids[i : i + 2] for ids, n in words.items() for i in range(len(ids) - 1) for _ in range(n)]
    best, most = None, 0
    for pair in sorted(set(every)):
        if every.count(pair) > most:
            best, most = pair, every.count(pair)
    return best


def _check_pair_by_hand(attempt):
    words = {(1, 2, 3): 4, (1, 2, 3, 5): 2, (2, 3, 5): 3}
    attempt.expect((words,), (2, 3), "2 3 stands there 4 + 2 + 3 times, 1 2 six times.")


def _check_pair_counts(attempt):
    attempt.expect(({(5, 6): 1, (6, 5): 1, (7, 8, 9): 9},), (7, 8), "The word 7 8 9 stands there nine times.")


def _check_pair_ties(attempt):
    why = "Both stand there equally often: the smaller pair is asked for."
    attempt.expect(({(9, 4): 2, (3, 8): 2},), (3, 8), why)
    attempt.expect(({(3, 8, 0, 3, 7): 1},), (0, 3), why)
    attempt.expect(({(1, 10): 1, (1, 9): 1},), (1, 9), f"{why} Ids are numbers: 9 is smaller than 10.")


def _check_pair_overlap(attempt):
    words = {(7, 7, 7): 2, (1, 2): 3}
    attempt.expect((words,), (7, 7), "In 7 7 7 the pair stands at two places that overlap.")


def _check_pair_random(attempt):
    import numpy as np

    rng = np.random.default_rng(0)
    for _ in range(40):
        words = _random_words(rng, int(rng.integers(1, 7)))
        attempt.expect((words,), _pair_oracle(words))


def _check_pair_none(attempt):
    why = "No word has two tokens, so there is no pair."
    attempt.expect(({(3,): 5, (4,): 1},), None, why)
    attempt.expect(({},), None, why)


def _pair_probes():
    return [
        ({(1, 2, 3): 4, (1, 2, 3, 5): 2, (2, 3, 5): 3},),
        ({(9, 4): 2, (3, 8): 2, (0, 9): 1},),
        ({(5, 6): 1, (6, 5): 1, (0, 5, 6): 1, (7, 8, 9): 7},),
        ({(7, 7, 7): 2, (1, 2): 3},),
        ({(4, 1, 4, 1): 1, (2, 3): 1, (1, 4): 1, (9, 8): 2},),
        ({(2, 1): 1, (1, 2): 1, (1, 3): 1, (6, 5): 2, (4,): 3},),
        ({(3, 6, 3, 6): 2, (6, 2): 3, (0, 1, 0): 1},),
        ({(3,): 9, (5,): 8, (2, 4): 6, (6, 7): 4},),
    ]


def _counted(pairs_of=lambda ids: zip(ids, ids[1:]), weigh=True):
    def count(words):
        counts = Counter()
        for ids, n in words.items():
            for pair in pairs_of(ids):
                counts[pair] += n if weigh else 1
        return counts

    return count


def _smallest(counts):
    return min(counts, key=lambda pair: (-counts[pair], pair))


def _first_seen(counts):
    return max(counts, key=counts.get)


def _largest(counts):
    return max(counts, key=lambda pair: (counts[pair], pair))


def _last_seen(counts):
    return max(reversed(list(counts)), key=counts.get)


def _pick(choose, count=_counted()):
    return lambda words: choose(count(words))


def _no_overlap(ids):
    """Pairs of a word as `merge` would find them: a run of three equal tokens has one."""
    skipped = None
    for i, pair in enumerate(zip(ids, ids[1:])):
        if pair == skipped and ids[i - 1] == ids[i] == ids[i + 1]:
            skipped = None
        else:
            skipped = pair
            yield pair


def _joined(repeat):
    def count(words):
        ids = [i for word, n in words.items() for i in list(word) * (n if repeat else 1)]
        return Counter(zip(ids, ids[1:]))

    return count


_PAIR_MISCONCEPTIONS = (
    Misconception(
        "rarest",
        _pick(lambda counts: min(counts, key=lambda pair: (counts[pair], pair))),
        "You give back the rarest pair. Which end of the counts do you want?",
        also=(_pick(lambda counts: min(counts, key=counts.get)),),
    ),
    Misconception(
        "counts_ignored",
        _pick(_smallest, _counted(weigh=False)),
        "You count each different word once. How often does it stand in the text?",
        also=(_pick(_first_seen, _counted(weigh=False)),),
    ),
    Misconception(
        "tie_first_seen",
        _pick(_first_seen),
        "Of equally frequent pairs you take the one that was counted first, so the result depends on "
        "the order of the dict. Which of them is asked for?",
    ),
    Misconception(
        "tie_largest",
        _pick(_largest),
        "Of equally frequent pairs you take the largest. Compare (count, pair) and mind the sign.",
        also=(_pick(_last_seen),),
    ),
    Misconception(
        "across_words",
        _pick(_smallest, _joined(True)),
        "You count pairs whose halves belong to two words. What separates the words of the dict?",
        also=(_pick(_first_seen, _joined(True)), _pick(_smallest, _joined(False)), _pick(_first_seen, _joined(False))),
    ),
    Misconception(
        "order_ignored",
        _pick(_smallest, _counted(lambda ids: [tuple(sorted(p)) for p in zip(ids, ids[1:])])),
        "You count (a, b) and (b, a) together. Is 'th' the same as 'ht'?",
        also=(_pick(_first_seen, _counted(lambda ids: [tuple(sorted(p)) for p in zip(ids, ids[1:])])),),
    ),
    Misconception(
        "once_a_word",
        _pick(_smallest, _counted(lambda ids: sorted(set(zip(ids, ids[1:]))))),
        "A pair that stands twice in one word counts once for you. What do you lose with a set?",
    ),
    Misconception(
        "overlaps_left_out",
        _pick(_smallest, _counted(_no_overlap)),
        "In 7 7 7 you count (7, 7) once. All places count here, also those that overlap, since the "
        "library counts so.",
    ),
    Misconception(
        "pair_and_count",
        _pick(lambda counts: (_smallest(counts), max(counts.values()))),
        "You give back the pair together with its count. Only the pair is asked for.",
        also=(_pick(lambda counts: counts.most_common(1)[0]),),
    ),
)


# merge


def _merge_sample(rng):
    ids = rng.integers(0, 3, size=rng.integers(0, 12)).tolist()
    return ids, tuple(rng.integers(0, 3, size=2).tolist()), 9


def _merge_oracle(ids, pair, new_id):
    """On a text with one letter for each id, where str.replace does the same."""
    text = "".join(chr(1000 + i) for i in ids)
    text = text.replace("".join(chr(1000 + i) for i in pair), chr(1000 + new_id))
    return [ord(c) - 1000 for c in text]


def _check_merge_by_hand(attempt):
    attempt.expect(([1, 2, 3, 1, 2], (1, 2), 9), [9, 3, 9])


def _check_merge_run(attempt):
    why = "From left to right, and no token is used twice."
    attempt.expect(([7, 7, 7], (7, 7), 9), [9, 7], why)
    attempt.expect(([7, 7, 7, 7, 7], (7, 7), 9), [9, 9, 7], why)


def _check_merge_ends(attempt):
    for ids in ([], [1], [2], [1, 2], [2, 1], [3, 1], [1, 2, 1], [2, 1, 2]):
        attempt.expect((ids, (1, 2), 9), _merge_oracle(ids, (1, 2), 9), "The ends of the list.")


def _check_merge_random(attempt):
    import numpy as np

    rng = np.random.default_rng(1)
    for _ in range(40):
        case = _merge_sample(rng)
        attempt.expect(case, _merge_oracle(*case))


def _check_merge_tuple(attempt):
    attempt.expect(((4, 5, 6, 4, 5), (4, 5), 300), [300, 6, 300], "A word may be a tuple; the result is a list.")


_LONG_IDS = [11, 2, 1, 23, 1, 2]


def _check_merge_long_ids(attempt):
    why = "11 is one id, and so is 23: neither 11 2 nor 1 23 is the pair."
    attempt.expect((_LONG_IDS, (1, 2), 9), [11, 2, 1, 23, 9], why)


def _merge_probes():
    return [
        ([1, 2, 3, 1, 2, 1, 2, 4], (1, 2), 9),
        ([7, 7, 7, 3, 7, 7], (7, 7), 9),
        ([2, 1, 5, 1, 2, 2, 1, 1], (1, 2), 8),
        ([5, 1, 2], (1, 2), 7),
        ([1, 1, 1, 1, 2], (1, 1), 6),
        ([3, 5, 4, 3, 5, 6], (3, 5), 9),
        (_LONG_IDS, (1, 2), 9),
    ]


def _scan(step=2, last=True, both=False, most=math.inf):
    """`merge` with switches: how far it goes after a hit, whether it keeps the end, how many hits."""

    def merge(ids, pair, new_id):
        out, i, hits = [], 0, 0
        while i < len(ids) - (0 if last else 1):
            here = tuple(ids[i : i + 2])
            if hits < most and (here == pair or both and here[::-1] == pair):
                out.append(new_id)
                i, hits = i + step, hits + 1
            else:
                out.append(ids[i])
                i += 1
        return out

    return merge


def _merge_from_the_right(ids, pair, new_id):
    return _scan()(ids[::-1], pair[::-1], new_id)[::-1]


def _merge_members(ids, pair, new_id):
    return [new_id if i in pair else i for i in ids]


def _merge_digits(ids, pair, new_id):
    text = " ".join(map(str, ids)).replace("{} {}".format(*pair), str(new_id))
    return [int(number) for number in text.split()]


def _merge_inserted(ids, pair, new_id):
    out = []
    for i, token in enumerate(ids):
        out.append(token)
        if i and (ids[i - 1], token) == pair:
            out.append(new_id)
    return out


def _merge_dropped(ids, pair, new_id):
    return [i for i in _scan()(ids, pair, new_id) if i != new_id]


_MERGE_MISCONCEPTIONS = (
    Misconception(
        "second_kept",
        _scan(step=1),
        "After a hit you go on one place further, so the second half is still there, or is used again. "
        "How many tokens does a merge take up?",
    ),
    Misconception(
        "from_the_right",
        _merge_from_the_right,
        "In 7 7 7 you merge the last two. Begin at the left.",
    ),
    Misconception(
        "first_only",
        _scan(most=1),
        "You merge the first place only. What has to happen after a hit?",
    ),
    Misconception(
        "end_lost",
        _scan(last=False),
        "The last token is lost where it belongs to no pair. How far must the loop go?",
    ),
    Misconception(
        "order_ignored",
        _scan(both=True),
        "You merge (b, a) too. The pair has an order.",
    ),
    Misconception(
        "one_too_far",
        _scan(step=3),
        "The token after each merged pair is lost. How many tokens does a merge take up?",
    ),
    Misconception(
        "members_replaced",
        _merge_members,
        "You replace every a and every b, also where they stand alone. What must both be?",
    ),
    Misconception(
        "digits_replaced",
        _merge_digits,
        "You replace in a text of digits, so the pair 1 2 is found in 11 2 and in 1 23 as well. Compare ids.",
    ),
    Misconception(
        "pair_kept",
        _merge_inserted,
        "You put the new token beside the pair. It takes the pair's place.",
    ),
    Misconception(
        "pair_dropped",
        _merge_dropped,
        "The pair is gone, and nothing stands in its place. Where does new_id go?",
    ),
)


# bpe_train

_TALE = "the wolf saw the hut; the wolves saw the huts, and they saw them."
_MIXED = "wolf \u72fc caf\u00e9 \u72fc\u72fc caf\u00e9s 12 12\n\n12"
_MARKED = "one wolf<|end|>two wolves<|end|>no wolf<|end|>"
_END = ("<|end|>",)


def _letters_sample(rng, n):
    return "".join(rng.choice(list("aab ban\n\u00e9."), size=n))


def _train_sample(rng):
    text = _letters_sample(rng, int(rng.integers(0, 60)))
    special = [(), _END, ("<|end|>", "<|pad|>")][rng.integers(3)]
    return text + "<|end|>" * int(rng.integers(2)), 256 + int(rng.integers(0, 12)), special


def _train_oracle(text, vocab_size, special_tokens=()):
    """On the whole list of pieces, counted anew each time, with tokens as bytes throughout."""
    vocab = [t.encode() for t in special_tokens] + [bytes([b]) for b in BYTE_ORDER]
    pieces = [[bytes([b]) for b in p.encode()] for p, special in cut(text, special_tokens) if not special]
    merges = []
    while len(vocab) < vocab_size:
        places = [(a, b) for piece in pieces for a, b in zip(piece, piece[1:])]
        if not places:
            break
        counts = Counter(places)
        most = max(counts.values())
        order = {token: i for i, token in enumerate(vocab) if i >= len(special_tokens)}
        a, b = sorted((p for p in counts if counts[p] == most), key=lambda p: (order[p[0]], order[p[1]]))[0]
        for piece in pieces:
            i = 0
            while i + 1 < len(piece):
                if piece[i] == a and piece[i + 1] == b:
                    piece[i : i + 2] = [a + b]
                i += 1
        merges.append((a, b))
        vocab.append(a + b)
    return dict(enumerate(vocab)), merges


def _expect_training(attempt, case, why=""):
    attempt.expect(case, _train_oracle(*case), why)


def _check_train_by_hand(attempt):
    vocab, merges = attempt("the the the the then then hen hen hen", 258)
    if list(merges) != [(b"h", b"e"), (b"t", b"he")]:
        text = f"merges is {str(merges)[:60]}; expected [(b'h', b'e'), (b't', b'he')]: he stands there 9 times."
        raise Failed(text, ("the the the the then then hen hen hen", 258))


def _check_train_texts(attempt):
    _expect_training(attempt, (_TALE, 270))
    _expect_training(attempt, (_MIXED, 268), "Beyond ASCII a character has several bytes.")


def _check_train_special(attempt):
    why = "Special tokens are cut out before training and come first in the vocabulary."
    _expect_training(attempt, (_MARKED, 266, _END), why)
    _expect_training(attempt, (_MARKED, 264, ("<|end|>", "<|pad|>")), why)
    _expect_training(attempt, (_MARKED, 262, ("<|end|>", "<|longer|>")), f"{why} They keep the order in which they are given.")


def _check_train_ties(attempt):
    why = "All pairs are equally frequent: the smallest ids go first, and ids follow BYTE_ORDER."
    _expect_training(attempt, ("ba ab zz", 262), why)
    _expect_training(attempt, ("d\nc\nb a", 260), why)


def _check_train_ends(attempt):
    _expect_training(attempt, ("ab", 300), "After one merge no pair is left.")
    _expect_training(attempt, ("", 260), "An empty text has no pair.")
    _expect_training(attempt, (_TALE, 256), "256 entries are the bytes alone.")


def _check_train_random(attempt):
    import numpy as np

    rng = np.random.default_rng(2)
    for _ in range(12):
        _expect_training(attempt, _train_sample(rng))


def _train_probes():
    return [
        (_TALE, 264),
        (_MIXED, 262),
        (_MARKED, 264, _END),
        ("ba ab zz\nab x\ty", 262),
        ("aaa aaaa baa", 259, ("<|end|>", "<|pad|>")),
        ("the the the the then then hen hen hen", 262),
    ]


def _ordinary(text, special_tokens):
    return [piece for piece, special in cut(text, special_tokens) if not special]


def _uncut(text, special_tokens):
    return [piece for piece, _ in cut(text)]


def _marks_kept(text, special_tokens):
    return [piece for piece, _ in cut(text, special_tokens)]


def _whole(text, special_tokens):
    return [text]


def _whole_parts(text, special_tokens):
    for mark in special_tokens:
        text = text.replace(mark, "\x00")
    return text.split("\x00")


def _bare_words(text, special_tokens):
    return " ".join(_whole_parts(text, special_tokens)).split()


def _bare_words_marked(text, special_tokens):
    return text.split()


def _merges_left(vocab_size, n_special, n_base):
    return vocab_size - n_special - n_base


def _trainer(
    pick=_smallest, split=_ordinary, order=lambda text: BYTE_ORDER, number=_merges_left, count=_counted(),
    place="first", named=True,
):  # fmt: skip
    """Training with switches, one for each mistake."""

    def train(text, vocab_size, special_tokens=()):
        special, base = [t.encode() for t in special_tokens], [bytes([b]) for b in order(text)]
        start = {"first": special + base, "last": base, "never": base}[place]
        vocab, merges = dict(enumerate(start)), []
        id_of = {token: i for i, token in vocab.items() if len(token) == 1}
        seen = Counter(split(text, special_tokens))
        words = {tuple(id_of[bytes([b])] for b in piece.encode()): n for piece, n in seen.items()}
        while len(merges) < number(vocab_size, len(special), len(base)):
            if not (counts := count(words)):
                break
            a, b = pick(counts)
            merges.append((vocab[a], vocab[b]) if named else (a, b))
            vocab[len(vocab)] = vocab[a] + vocab[b]
            words = {tuple(merge(ids, (a, b), len(vocab) - 1)): n for ids, n in words.items()}
        if place == "last":
            vocab.update(enumerate(special, len(vocab)))
        return vocab, merges

    return train


def _train_characters(text, vocab_size, special_tokens=()):
    """Training on characters in place of bytes."""
    pieces = Counter(_ordinary(text, special_tokens))
    start = [t.encode() for t in special_tokens] + [c.encode() for c in sorted(set("".join(pieces)))]
    vocab, merges = dict(enumerate(start)), []
    id_of = {token: i for i, token in vocab.items()}
    words = {tuple(id_of[c.encode()] for c in piece): n for piece, n in pieces.items()}
    while len(vocab) < vocab_size and (counts := _counted()(words)):
        a, b = _smallest(counts)
        merges.append((vocab[a], vocab[b]))
        vocab[len(vocab)] = vocab[a] + vocab[b]
        words = {tuple(merge(ids, (a, b), len(vocab) - 1)): n for ids, n in words.items()}
    return vocab, merges


_BY_VALUE = lambda text: range(256)  # noqa: E731
_SEEN_BYTES = lambda text: sorted(set(text.encode()), key=BYTE_ORDER.index)  # noqa: E731

_TRAIN_MISCONCEPTIONS = (
    Misconception(
        "bytes_by_value",
        _trainer(order=_BY_VALUE),
        "Your first ids follow the value of the byte. BYTE_ORDER has the visible ones first, and ties "
        "depend on it.",
        also=(_trainer(order=_BY_VALUE, pick=_first_seen),),
    ),
    Misconception(
        "no_pieces",
        _trainer(split=_whole_parts),
        "Your merges cross the borders of words: a token holds the end of one word and the beginning of "
        "the next. Which function cuts the text first?",
        also=(_trainer(split=_whole), _trainer(split=_whole_parts, pick=_first_seen)),
    ),
    Misconception(
        "spaces_lost",
        _trainer(split=_bare_words),
        "You cut at spaces and drop them, so no token can hold one. With `cut` a space belongs to the "
        "word after it.",
        also=(_trainer(split=_bare_words_marked),),
    ),
    Misconception(
        "tie_first_seen",
        _trainer(pick=_first_seen),
        "Where pairs are equally frequent you take the one that was counted first. Which one is asked for?",
    ),
    Misconception(
        "tie_largest",
        _trainer(pick=_largest),
        "Where pairs are equally frequent you take the largest ids. The smallest are asked for.",
    ),
    Misconception(
        "seen_bytes_only",
        _trainer(order=_SEEN_BYTES),
        "Your vocabulary begins with the bytes of this text. A later text has others: all 256 belong in it.",
        also=(_trainer(order=_SEEN_BYTES, number=lambda size, s, base: size - s - 256),),
    ),
    Misconception(
        "characters",
        _train_characters,
        "You begin with characters. Unicode has over 150,000 of them; how many bytes are there?",
    ),
    Misconception(
        "size_is_merges",
        _trainer(number=lambda size, s, base: size),
        "You learn vocab_size merges. The bytes and the special tokens count too.",
    ),
    Misconception(
        "special_not_counted",
        _trainer(number=lambda size, s, base: size - base),
        "With special tokens your vocabulary is larger than vocab_size. What else takes up ids?",
    ),
    Misconception(
        "special_missing",
        _trainer(place="never", number=lambda size, s, base: size - base),
        "The special tokens have no ids in your vocabulary. They are its first entries.",
        also=(_trainer(place="never"),),
    ),
    Misconception(
        "special_last",
        _trainer(place="last"),
        "Your special tokens stand at the end of the vocabulary. Here they come first.",
    ),
    Misconception(
        "special_as_text",
        _trainer(split=_uncut),
        "You learn merges from the letters of the special tokens. What does the second entry that `cut` "
        "gives with each piece say?",
        also=(_trainer(split=_marks_kept),),
    ),
    Misconception(
        "counts_ignored",
        _trainer(count=_counted(weigh=False)),
        "You count each different piece once. A frequent word should weigh more.",
    ),
    Misconception(
        "merges_as_ids",
        _trainer(named=False),
        "Your merges are pairs of ids. Pairs of bytes are asked for: vocab[a], vocab[b].",
    ),
)


# bpe_encode

_BOOK = f"{_TALE} {_TALE} {_MIXED} the hut, the huts; when they saw wolf and wolf"


def _learned(extra=24, special_tokens=_END):
    return bpe_train(_BOOK, 256 + len(special_tokens) + extra, special_tokens)


def _gpt2_like():
    """A vocabulary whose special token is its last entry, as GPT-2's."""
    vocab, merges = _learned(30, ())
    return {**vocab, len(vocab): b"<|end|>"}, merges


def _made_of(*merges):
    """A vocabulary of the bytes and these merges, learned from nothing."""
    base = [bytes([b]) for b in BYTE_ORDER]
    return dict(enumerate([*base, *(a + b for a, b in merges)])), list(merges)


def _spaced():
    """Two spaces were merged before a space and a letter, so it matters where pieces end."""
    return _made_of((b" ", b" "), (b" ", b"a"))


def _encode_sample(rng):
    words = ["the", " the", " wolf", " wolves", "<|end|>", "\n\n", " \u72fc", "aw", " h", "  ", "hut", "\U0001f43a"]
    text = "".join(rng.choice(words, size=int(rng.integers(0, 9))))
    vocab, merges = _gpt2_like() if rng.integers(2) else _learned(int(rng.integers(1, 30)))
    return text, vocab, merges, [_END, ()][rng.integers(2)]


def _encode_oracle(text, vocab, merges, special_tokens=()):
    """Every merge in its turn, on the bytes joined by a mark that no text holds."""
    names = {token: i for i, token in vocab.items()}
    out = []
    for piece, special in cut(text, special_tokens):
        tokens = [piece.encode()] if special else [bytes([b]) for b in piece.encode()]
        for a, b in () if special else merges:
            i = 0
            while i < len(tokens) - 1:
                if tokens[i] == a and tokens[i + 1] == b:
                    tokens[i : i + 2] = [a + b]
                i += 1
        out += [names[token] for token in tokens]
    return out


def _expect_encoding(attempt, case, why=""):
    attempt.expect(case, _encode_oracle(*case), why)


def _check_encode_by_hand(attempt):
    vocab, merges = _made_of((b"h", b"e"), (b"t", b"he"), (b"e", b"n"))
    why = "First h e, then t he; e n comes too late."
    attempt.expect(("then", vocab, merges), [257, BYTE_ORDER.index(ord("n"))], why)


def _check_encode_texts(attempt):
    vocab, merges = _learned()
    for text in (_TALE, "  the\n\n\nwolf  ", "whether thaw", "a", ""):
        _expect_encoding(attempt, (text, vocab, merges))
    _expect_encoding(attempt, ("b  a", *_spaced()), "The pieces are 'b', ' ' and ' a'; no merge crosses them.")
    why = "Not the longest entry, but the merge learned first."
    _expect_encoding(attempt, ("abcd", *_made_of((b"b", b"c"), (b"a", b"b"), (b"c", b"d"))), why)
    why = "In a run the left two go together, as in `merge`."
    _expect_encoding(attempt, ("aaa aaaaa", *_made_of((b"a", b"a"))), why)


def _check_encode_unseen(attempt):
    vocab, merges = _learned()
    why = "No text is unknown: in the worst case every byte is a token."
    for text in ("\u68ee\u6797", "\U0001f43a\u00ff", "Zebra \x00"):
        _expect_encoding(attempt, (text, vocab, merges), why)


def _check_encode_special(attempt):
    vocab, merges = _learned()
    case = ("the<|end|> wolf<|end|><|end|>", vocab, merges, _END)
    _expect_encoding(attempt, case, "A special token is one id.")
    _expect_encoding(attempt, (*case[:3], ()), "Where it isn't named as special, it is text like any other.")
    marked = {**vocab, len(vocab): b"user"}
    why = "user is a special token of this vocabulary and no merge leads to it: typed, it is text like any other."
    _expect_encoding(attempt, ("user\nuser", marked, merges, ()), why)
    two = ("<|end|>", "<|end|><|end|>")
    vocab, merges = _learned(10, two)
    _expect_encoding(attempt, ("a<|end|><|end|>b<|end|>", vocab, merges, two), "The longer special token wins.")


def _check_encode_ids(attempt):
    vocab, merges = _gpt2_like()
    _expect_encoding(attempt, (_TALE + "<|end|>", vocab, merges, _END), "Ids are the keys of vocab.")
    turned = {len(vocab) - 1 - i: token for i, token in vocab.items()}
    _expect_encoding(attempt, ("the wolf", turned, merges), "Ids are the keys of vocab, whatever their order.")


def _check_encode_random(attempt):
    import numpy as np

    rng = np.random.default_rng(3)
    for _ in range(20):
        _expect_encoding(attempt, _encode_sample(rng))


def _encode_probes():
    vocab, merges = _learned()
    late, late_merges = _gpt2_like()
    two = ("<|end|>", "<|end|><|end|>")
    both, both_merges = _learned(8, two)
    chain = _made_of((b"b", b"c"), (b"a", b"b"), (b"c", b"d"), (b"a", b"bc"), (b"a", b"a"))
    return [
        ("abcd abab aaaa xabcc", *chain),
        ("cdcd ab  cd\nbcd", *chain),
        ("abcd", *_made_of((b"b", b"c"), (b"a", b"b"), (b"c", b"d"))),
        ("b  a<|end|>", *_spaced()),
        ("the wolf<|end|> saw them", vocab, merges, _END),
        ("they saw the huts <|end|>", late, late_merges, _END),
        ("he<|end|><|end|>ut", both, both_merges, two),
        ("wolf \u72fc\u72fc caf\u00e9", vocab, merges),
    ]


def _starting(piece):
    return [bytes([b]) for b in piece.encode()]


def _by_rank(tokens, rank, id_of):
    return _merge_known(tokens, rank, min)


def _last_rank(tokens, rank, id_of):
    return _merge_known(tokens, rank, max)


def _merge_known(tokens, rank, choose):
    while known := [pair for pair in zip(tokens, tokens[1:]) if pair in rank]:
        pair = choose(known, key=rank.get)
        tokens = merge(tokens, pair, pair[0] + pair[1])
    return tokens


def _leftmost_known(tokens, rank, id_of):
    tokens, i = list(tokens), 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) in rank:
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
            i = 0
        else:
            i += 1
    return tokens


def _longest_match(tokens, rank, id_of):
    data, found = b"".join(tokens), []
    while data:
        end = max(n for n in range(1, len(data) + 1) if n == 1 or data[:n] in id_of)
        found.append(data[:end])
        data = data[end:]
    return found


def _first_place_only(tokens, rank, id_of):
    for a, b in rank:
        for i in range(len(tokens) - 1):
            if (tokens[i], tokens[i + 1]) == (a, b):
                tokens = tokens[:i] + [a + b] + tokens[i + 2 :]
                break
    return tokens


def _one_merge(tokens, rank, id_of):
    known = [pair for pair in zip(tokens, tokens[1:]) if pair in rank]
    if known:
        pair = min(known, key=rank.get)
        tokens = merge(tokens, pair, pair[0] + pair[1])
    return tokens


def _no_merge(tokens, rank, id_of):
    return tokens


def _words_for_encoding(text, special_tokens):
    return [(word, word in special_tokens) for word in text.split()]


def _short_first(text, special_tokens):
    """Special tokens cut out in the order in which they are given."""
    for mark in special_tokens:
        if mark in text:
            before, _, after = text.partition(mark)
            return _short_first(before, special_tokens) + [(mark, True)] + _short_first(after, special_tokens)
    return cut(text)


def _unpieced(text, special_tokens):
    pieces = []
    for piece, special in cut(text, special_tokens):
        if special or not pieces or pieces[-1][1]:
            pieces.append((piece, special))
        else:
            pieces[-1] = (pieces[-1][0] + piece, False)
    return pieces


def _encoder(step=_by_rank, split=cut, start=_starting, number=None):
    """Encoding with switches, one for each mistake."""

    def encode(text, vocab, merges, special_tokens=()):
        rank, id_of = {pair: i for i, pair in enumerate(merges)}, {token: i for i, token in vocab.items()}
        ids = []
        for piece, special in split(text, special_tokens):
            if special:
                ids.append(id_of[piece.encode()])
                continue
            tokens = step(start(piece), rank, id_of)
            ids += [number(t, rank, id_of) if number else id_of[t] for t in tokens]
        return ids

    return encode


def _rank_as_id(first, byte):
    def number(token, rank, id_of):
        made = {a + b: i for (a, b), i in rank.items()}
        return first + made[token] if token in made else byte(token)

    return number


_VALUE = lambda token: token[0]  # noqa: E731
_PLACE = lambda token: BYTE_ORDER.index(token[0])  # noqa: E731

_ENCODE_MISCONCEPTIONS = (
    Misconception(
        "no_merges",
        _encoder(_no_merge),
        "Your result has one id for each byte. Where are the merges?",
    ),
    Misconception(
        "longest_match",
        _encoder(_longest_match),
        "You take the longest entry that fits. BPE repeats its training instead: the merge that was "
        "learned first is done first.",
    ),
    Misconception(
        "leftmost_known",
        _encoder(_leftmost_known),
        "You merge the first known pair from the left. Of all known pairs in the piece, which goes first?",
    ),
    Misconception(
        "latest_merge_first",
        _encoder(_last_rank),
        "You do the merge that was learned last. Which end of the list comes first?",
    ),
    Misconception(
        "one_merge_only",
        _encoder(_one_merge),
        "You stop after one merge. What may the next one do with the new token?",
    ),
    Misconception(
        "first_place_only",
        _encoder(_first_place_only),
        "Each merge is done at one place of the piece only. `merge` does all of them.",
    ),
    Misconception(
        "no_pieces",
        _encoder(split=_unpieced),
        "You merge across the borders of pieces. Training never saw such pairs; cut the text first.",
        also=(_encoder(split=lambda text, marks: [(text, False)]),),
    ),
    Misconception(
        "spaces_lost",
        _encoder(split=_words_for_encoding),
        "The spaces are gone, and with them the tokens that begin with one. Use `cut`.",
    ),
    Misconception(
        "special_as_text",
        _encoder(split=lambda text, marks: cut(text)),
        "You encode the special tokens as text. Tell `cut` about them, and look up their ids.",
    ),
    Misconception(
        "short_special_first",
        _encoder(split=_short_first),
        "Where a longer special token fits you take a shorter one. `cut` takes the longest.",
    ),
    Misconception(
        "rank_as_id",
        _encoder(number=_rank_as_id(256, _PLACE)),
        "You compute ids from the order of the merges. In this vocabulary the entries stand elsewhere: "
        "look each token up in vocab.",
        also=(_encoder(number=_rank_as_id(256, _VALUE)), _encoder(number=_rank_as_id(0, _PLACE))),
    ),
    Misconception(
        "byte_value_as_id",
        _encoder(number=lambda token, rank, id_of: token[0] if len(token) == 1 else id_of[token]),
        "A single byte's id is not its value: the vocabulary has its own order.",
    ),
    Misconception(
        "characters",
        _encoder(start=lambda piece: [c.encode() for c in piece]),
        "You begin with characters; one that training never merged has no entry. Begin with its bytes.",
    ),
)


# bpe_decode


def _decode_sample(rng):
    vocab, _ = _learned()
    return rng.integers(0, len(vocab), size=int(rng.integers(0, 12))).tolist(), vocab


def _decode_oracle(ids, vocab):
    """One byte after the other into an incremental decoder."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return "".join(decoder.decode(bytes([b])) for i in ids for b in vocab[i]) + decoder.decode(b"", True)


def _ids_of(text, vocab):
    id_of = {token: i for i, token in vocab.items() if len(token) == 1}
    return [id_of[bytes([b])] for b in text.encode()]


def _check_decode_by_hand(attempt):
    attempt.expect(([2, 0, 1], {0: b"ol", 1: b"f", 2: b" w"}), " wolf")


def _check_decode_round_trip(attempt):
    vocab, merges = _learned()
    for text in (_TALE, _MARKED, "  two\n", ""):
        attempt.expect((bpe_encode(text, vocab, merges, _END), vocab), text)


def _check_decode_split(attempt):
    vocab, _ = _learned()
    why = "A character may be spread over several tokens."
    for text in ("\u68ee\u6797", "\U0001f43a", "caf\u00e9"):
        attempt.expect((_ids_of(text, vocab), vocab), text, why)


def _check_decode_broken(attempt):
    vocab, _ = _learned()
    ids = _ids_of("a\u72fcb", vocab)
    why = "Bytes that are not UTF-8 show as U+FFFD; a model can write them."
    attempt.expect((ids[:3], vocab), "a\ufffd", why)
    attempt.expect((ids[2:], vocab), "\ufffd\ufffdb", why)


def _check_decode_random(attempt):
    import numpy as np

    rng = np.random.default_rng(4)
    for _ in range(20):
        case = _decode_sample(rng)
        attempt.expect(case, _decode_oracle(*case))


def _decode_probes():
    vocab, merges = _learned()
    split = _ids_of("\u68ee a\u00e9", vocab)
    return [
        (bpe_encode(" the wolf saw<|end|> them ", vocab, merges, _END), vocab),
        (split, vocab),
        (_ids_of("a\u72fcb", vocab)[:3] + _ids_of("x", vocab), vocab),
        (_ids_of("  x\n", vocab), vocab),
        ([1, 0], {0: "\u00e9".encode(), 1: b"caf"}),
    ]


def _joined_bytes(ids, vocab):
    return b"".join(vocab[i] for i in ids)


def _each(errors, between=""):
    return lambda ids, vocab: between.join(vocab[i].decode("utf-8", errors) for i in ids)


_DECODE_MISCONCEPTIONS = (
    Misconception(
        "stripped",
        lambda ids, vocab: bpe_decode(ids, vocab).strip(),
        "The space at the beginning or end is lost. It belongs to the text.",
        also=(lambda ids, vocab: bpe_decode(ids, vocab).lstrip(), lambda ids, vocab: bpe_decode(ids, vocab).rstrip()),
    ),
    Misconception(
        "token_by_token",
        _each("replace"),
        "You decode each token by itself, and half a character is no text. Join the bytes first.",
        also=(_each("ignore"), _each("strict")),
    ),
    Misconception(
        "raises_on_broken_bytes",
        lambda ids, vocab: _joined_bytes(ids, vocab).decode("utf-8"),
        "Half a character at the end raises an error. `bytes.decode` has a second argument for that.",
    ),
    Misconception(
        "broken_bytes_dropped",
        lambda ids, vocab: _joined_bytes(ids, vocab).decode("utf-8", "ignore"),
        "Broken bytes vanish, and nobody sees that something was there. Which way of treating errors "
        "puts U+FFFD in their place?",
    ),
    Misconception(
        "backslashes",
        lambda ids, vocab: _joined_bytes(ids, vocab).decode("utf-8", "backslashreplace"),
        "Broken bytes come out as \\x.. text. Which way of treating errors puts U+FFFD in their place?",
    ),
    Misconception(
        "one_character_a_byte",
        lambda ids, vocab: _joined_bytes(ids, vocab).decode("latin-1"),
        "Every byte became a character. In which encoding were the bytes made?",
        also=(lambda ids, vocab: "".join(chr(b) for b in _joined_bytes(ids, vocab)),),
    ),
    Misconception(
        "ascii",
        lambda ids, vocab: _joined_bytes(ids, vocab).decode("ascii", "replace"),
        "Only ASCII survives. In which encoding were the bytes made?",
    ),
    Misconception(
        "spaces_between",
        _each("replace", " "),
        "You put spaces between the tokens. The tokens have their own.",
        also=(lambda ids, vocab: b" ".join(vocab[i] for i in ids).decode("utf-8", "replace"),),
    ),
    Misconception(
        "bytes_not_text",
        _joined_bytes,
        "You give back bytes. Which method makes text of them?",
        also=(lambda ids, vocab: str(_joined_bytes(ids, vocab)),),
    ),
)


# is_lossless


def _utf8():
    return lambda text: list(text.encode()), lambda ids: bytes(ids).decode()


def _code_points():
    return lambda text: [ord(c) for c in text], lambda ids: "".join(map(chr, ids))


def _by_bpe():
    vocab, merges = _learned()
    return lambda text: bpe_encode(text, vocab, merges), lambda ids: bpe_decode(ids, vocab)


def _growing_words():
    """Words and what lies between them, each with an id of its own when first met."""
    import re

    names: list[str] = []

    def encode(text):
        parts = re.findall(r"\w+|\W+", text)
        names.extend(part for part in dict.fromkeys(parts) if part not in names)
        return [names.index(part) for part in parts]

    return encode, lambda ids: "".join(names[i] for i in ids)


def _losing(change):
    """A tokenizer that changes the text before it encodes it."""
    encode, decode = _utf8()
    return lambda text: encode(change(text)), decode


def _normal_form(form):
    import unicodedata

    return _losing(lambda text: unicodedata.normalize(form, text))


def _refusing(test):
    def change(text):
        if test(text):
            raise ValueError("no such token")
        return text

    return _losing(change)


def _half_characters():
    return lambda text: list(text.encode()), lambda ids: "".join(bytes([i]).decode(errors="replace") for i in ids)


_STOP_WORDS = {"the", "no", "not", "never", "a", "and"}


def _stop_words_removed():
    import re

    return _losing(lambda text: "".join(w for w in re.split(r"(\W+)", text) if w.lower() not in _STOP_WORDS))


_GOOD = (_utf8, _code_points, _by_bpe, _growing_words)
_FAULTY = (
    ("capitals become small", lambda: _losing(str.lower)),
    ("runs of spaces become one", lambda: _losing(lambda t: " ".join(p for p in t.split(" ") if p))),
    ("the ends are stripped", lambda: _losing(str.strip)),
    ("ends of lines become spaces", lambda: _losing(lambda t: t.replace("\n", " ").replace("\r", " "))),
    ("what isn't ASCII becomes ?", lambda: _losing(lambda t: t.encode("ascii", "replace").decode())),
    ("Chinese is dropped", lambda: _losing(lambda t: "".join(c for c in t if not "\u3400" <= c <= "\u9fff"))),
    ("emoji are dropped", lambda: _losing(lambda t: "".join(c for c in t if c < "\U00010000"))),
    ("signs are dropped", lambda: _losing(lambda t: "".join(c for c in t if c.isalnum() or c.isspace() or c > "\x7f"))),
    ("an e and its accent become one character", lambda: _normal_form("NFC")),
    ("half a character is decoded alone", _half_characters),
    ("stop words are removed", _stop_words_removed),
    ("only the first 512 bytes are kept", lambda: _losing(lambda t: t[:512])),
    ("an unknown character raises an error", lambda: _refusing(lambda t: not t.isascii())),
    ("every text gets an end mark", lambda: _losing(lambda t: t + "</s>")),
    ("an empty text raises an error", lambda: _refusing(lambda t: t == "")),
)


def _check_lossless_good(attempt):
    for make in _GOOD:
        attempt.expect(make(), True, "This tokenizer loses nothing.")


def _check_lossless_half(part):
    def check(attempt):
        for name, make in _FAULTY[part]:
            attempt.expect(make(), False, f"In this tokenizer {name}.")

    return check


def _lossless_probes():
    return [make() for make in _GOOD[:3]] + [make() for _, make in _FAULTY]


def _lossless_sample(rng):
    makers = [*_GOOD, *(make for _, make in _FAULTY)]
    return makers[rng.integers(len(makers))]()


_TEXTS = (
    "", "The wolf said: No, NEVER!", " two  spaces ", "a\n\n\tb\r\n", "\u72fc\u4f4f\u5728\u68ee\u6797\u91cc\u3002",
    "caf\u00e9 cafe\u0301 \ufb01sh", "\U0001f43a", "x[i] **= 1_000", "<|endoftext|>", "\x00\x7f\xa0\ufeff", "wolf " * 300,
)  # fmt: skip


def _tester(same=lambda back, text, encode: back == text, texts=_TEXTS, on_error=False, all_of=all, turned=False):
    """A test of tokenizers with switches. on_error: what an error counts as; None lets it through."""

    def is_lossless(encode, decode):
        def holds(text):
            if on_error is None:
                return same(decode(encode(text)), text, encode)
            try:
                return same(decode(encode(text)), text, encode)
            except Exception:
                return on_error

        return bool(all_of([holds(text) for text in texts])) is not turned

    return is_lossless


def _in_normal_form(back, text, encode):
    import unicodedata

    return unicodedata.normalize("NFC", back) == unicodedata.normalize("NFC", text)


_LOSSLESS_MISCONCEPTIONS = (
    Misconception(
        "answer_turned",
        _tester(turned=True),
        "You say True for a tokenizer that loses something.",
    ),
    Misconception(
        "case_ignored",
        _tester(lambda back, text, encode: back.lower() == text.lower()),
        "A tokenizer may lose capitals unseen: have some of your texts capitals, and do you compare them "
        "as they are?",
        also=(_tester(lambda back, text, encode: back.lower() == text.lower(), on_error=None),),
    ),
    Misconception(
        "words_compared",
        _tester(lambda back, text, encode: back.split() == text.split()),
        "A tokenizer may lose spaces or ends of lines unseen: have some of your texts several of them, also "
        "at both ends, and do you compare whole texts, without split or strip?",
        also=(
            _tester(lambda back, text, encode: back.split() == text.split(), on_error=None),
            _tester(lambda back, text, encode: back.strip() == text.strip()),
        ),
    ),
    Misconception(
        "lengths_compared",
        _tester(lambda back, text, encode: len(back) == len(text)),
        "You compare lengths. Small letters are as many as capitals.",
        also=(_tester(lambda back, text, encode: len(back) == len(text), on_error=None),),
    ),
    Misconception(
        "ids_compared",
        _tester(lambda back, text, encode: encode(back) == encode(text)),
        "You compare ids with ids. What encode loses is lost on both sides; compare texts.",
        also=(_tester(lambda back, text, encode: encode(back) == encode(text), on_error=None),),
    ),
    Misconception(
        "normal_forms_compared",
        _tester(_in_normal_form),
        "An accent may stand in a text as a character of its own, and then it must come back so: is there an "
        "e followed by U+0301 in one of your texts, and do you compare without normalising?",
    ),
    Misconception(
        "ascii_only",
        _tester(texts=[t for t in _TEXTS if t.isascii()]),
        "All your texts are ASCII. Try accents, Chinese and emoji.",
    ),
    Misconception(
        "errors_let_through",
        _tester(on_error=None),
        "Where the tokenizer raises an error, so does your test. An error is a loss too: catch it and say False.",
    ),
    Misconception(
        "errors_forgiven",
        _tester(on_error=True),
        "Where the tokenizer raises an error, your test goes on. What did it give back for that text?",
    ),
    Misconception(
        "one_is_enough",
        _tester(all_of=any),
        "You say True as soon as one text survives. For how many must it hold?",
    ),
)

EXERCISES = (
    Exercise(
        id="tokenization.most_frequent_pair",
        reference=most_frequent_pair,
        difficulty=2,
        minutes=8,
        section="Count the pairs",
        hints=(
            "zip(ids, ids[1:]) gives the pairs of one word; each counts as often as the word stands there.",
            "A Counter adds up: counts[pair] += count. Pairs of tuples compare like their first entries.",
            "most = max(counts.values()); of the pairs that count most, min(...) takes the smallest.",
        ),
        checks=(
            Check("three words by hand", _check_pair_by_hand),
            Check("a frequent word", _check_pair_counts),
            Check("ties", _check_pair_ties),
            Check("places that overlap", _check_pair_overlap),
            Check("random words", _check_pair_random),
            Check("no pair at all", _check_pair_none),
        ),
        misconceptions=_PAIR_MISCONCEPTIONS,
        probes=_pair_probes,
        sample=_words_sample,
    ),
    Exercise(
        id="tokenization.merge",
        reference=merge,
        difficulty=2,
        minutes=8,
        section="Merge one pair",
        hints=(
            "Go through the list with an index i and build a new list.",
            "Do ids[i] and ids[i + 1] make the pair? Then append new_id and go two places on, else one.",
            "The slice tuple(ids[i : i + 2]) is shorter at the end of the list and equals no pair there.",
        ),
        checks=(
            Check("five tokens by hand", _check_merge_by_hand),
            Check("runs of one token", _check_merge_run),
            Check("the ends", _check_merge_ends),
            Check("random tokens", _check_merge_random),
            Check("a tuple", _check_merge_tuple),
            Check("ids of several digits", _check_merge_long_ids),
        ),
        misconceptions=_MERGE_MISCONCEPTIONS,
        probes=_merge_probes,
        sample=_merge_sample,
    ),
    Exercise(
        id="tokenization.bpe_train",
        reference=bpe_train,
        difficulty=4,
        minutes=20,
        section="Train",
        hints=(
            "Three steps: the first entries of vocab, the words as tuples of ids with their counts, then the "
            "loop of most_frequent_pair and merge.",
            "vocab = dict(enumerate([t.encode() for t in special_tokens] + [bytes([b]) for b in BYTE_ORDER])); "
            "the words come from cut(text, special_tokens), without the special pieces.",
            "while len(vocab) < vocab_size: a, b = pair; note (vocab[a], vocab[b]), add their sum to vocab, "
            "and merge the pair in every word. Stop where the pair is None.",
        ),
        checks=(
            Check("three words by hand", _check_train_by_hand),
            Check("texts", _check_train_texts),
            Check("special tokens", _check_train_special),
            Check("ties", _check_train_ties),
            Check("nothing left to merge", _check_train_ends),
            Check("random texts", _check_train_random),
        ),
        misconceptions=_TRAIN_MISCONCEPTIONS,
        probes=_train_probes,
        sample=_train_sample,
        returns=("vocab", "merges"),
    ),
    Exercise(
        id="tokenization.bpe_encode",
        reference=bpe_encode,
        difficulty=4,
        minutes=15,
        section="Encode",
        hints=(
            "Encoding repeats training on one piece: of all pairs in it, the one learned first is merged first.",
            "rank = {pair: i for i, pair in enumerate(merges)}; of the pairs of the piece that are in "
            "rank, min(pairs, key=rank.get) goes first; stop where there is none.",
            "Tokens may be bytes: merge(tokens, (a, b), a + b). At the end look each one up in the turned vocab.",
        ),
        checks=(
            Check("one word by hand", _check_encode_by_hand),
            Check("texts", _check_encode_texts),
            Check("characters never seen", _check_encode_unseen),
            Check("special tokens", _check_encode_special),
            Check("other ids", _check_encode_ids),
            Check("random texts", _check_encode_random),
        ),
        misconceptions=_ENCODE_MISCONCEPTIONS,
        probes=_encode_probes,
        sample=_encode_sample,
    ),
    Exercise(
        id="tokenization.bpe_decode",
        reference=bpe_decode,
        difficulty=1,
        minutes=5,
        section="Decode",
        hints=(
            "Look up the bytes of every id and put them one behind the other.",
            "b''.join(...) joins bytes; .decode('utf-8') makes text of them.",
            "decode has a second argument, errors='replace', for bytes that are not UTF-8.",
        ),
        checks=(
            Check("one word by hand", _check_decode_by_hand),
            Check("there and back", _check_decode_round_trip),
            Check("characters over several tokens", _check_decode_split),
            Check("broken bytes", _check_decode_broken),
            Check("random ids", _check_decode_random),
        ),
        misconceptions=_DECODE_MISCONCEPTIONS,
        probes=_decode_probes,
        sample=_decode_sample,
    ),
    Exercise(
        id="tokenization.is_lossless",
        reference=is_lossless,
        difficulty=2,
        minutes=10,
        section="What the articles say",
        hints=(
            "Make a list of texts in which something can get lost: capitals, spaces, ends of lines, signs.",
            "Think of Chinese, emoji, an accent that stands alone, an empty text and a very long one.",
            "for text in texts: try decode(encode(text)); an exception, or a difference, means False.",
        ),
        checks=(
            Check("tokenizers that lose nothing", _check_lossless_good),
            Check("capitals, spaces, lines", _check_lossless_half(slice(0, 4))),
            Check("characters", _check_lossless_half(slice(4, 10))),
            Check("words, lengths, errors", _check_lossless_half(slice(10, None))),
        ),
        misconceptions=_LOSSLESS_MISCONCEPTIONS,
        probes=_lossless_probes,
        sample=_lossless_sample,
    ),
)
