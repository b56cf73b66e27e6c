"""Each misconception once more, in another style and with other names."""

import json
import re
import unicodedata

from bigmodel_nb.bytelevel import BYTE_ORDER, cut


class Pair:
    """The most frequent pair, from a list of all places; every mistake is a switch."""

    def __init__(self, tie="small", weigh=True, cross=False, turn=False, once=False, run=True, most=True, tell=False):
        self.__dict__.update(locals())

    def places(self, corpus):
        if self.cross:
            line = []
            for word in corpus:
                line.extend(word * (corpus[word] if self.weigh else 1))
            yield from ((line[i - 1], line[i]) for i in range(1, len(line)))
            return
        for word, times in corpus.items():
            found, i = [], 0
            while i + 1 < len(word):
                one = word[i], word[i + 1]
                found.append((min(one), max(one)) if self.turn else one)
                i += 2 if not self.run and i + 2 < len(word) and word[i] == word[i + 1] == word[i + 2] else 1
            if self.once:
                found = list(dict.fromkeys(found))
            yield from found * (times if self.weigh else 1)

    def __call__(self, corpus):
        tally = {}
        for place in self.places(corpus):
            tally[place] = tally.get(place, 0) + 1
        rows = [(n if self.most else -n, place) for place, n in tally.items()]
        top = max(n for n, _ in rows)
        winners = [place for n, place in rows if n == top]
        winner = {"small": min, "large": max, "first": lambda w: w[0]}[self.tie](winners)
        return [winner, top] if self.tell else winner


def merge(tokens, both, fresh, skip=1, left=True, limit=10**6, end=True, any_order=False):
    """Merging by marks: first the places are found, then the list is built."""
    if not left:
        return merge(list(tokens)[::-1], (both[1], both[0]), fresh)[::-1]
    out, waiting = [], 0
    for here, after in zip(tokens, [*tokens[1:], None]):
        if waiting:
            waiting -= 1
            continue
        hit = (here, after) == both or any_order and (after, here) == both
        if hit and limit:
            out.append(fresh)
            waiting, limit = skip, limit - 1
        elif end or after is not None:
            out.append(here)
    return out


def join_marks(tokens, both, fresh, keep):
    """On text: str.replace with letters for ids."""
    text = "".join(map(chr, tokens))
    pair = chr(both[0]) + chr(both[1])
    if keep == "single":
        return [ord(c) for c in text.translate({both[0]: fresh, both[1]: fresh})]
    if keep == "pair":  # places may overlap
        return [ord(c) for c in re.sub(f"(?<={re.escape(pair[0])}){re.escape(pair[1])}", pair[1] + chr(fresh), text)]
    return [ord(c) for c in text.replace(pair, "")]


class Trainer:
    """Training on lists of bytes; every mistake is a switch."""

    def __init__(self, cutting="cut", order=BYTE_ORDER, tie="small", many="rest", weigh=True, where="front",
                 seen=False, chars=False, numbers=False):
        self.__dict__.update(locals())

    def split(self, text, marks):
        if self.cutting == "cut":
            return [p for p, mark in cut(text, marks) if not mark]
        if self.cutting == "blind":
            return [p for p, _ in cut(text)]
        parts = re.split("|".join(map(re.escape, marks)), text) if marks else [text]
        return parts if self.cutting == "parts" else " ".join(parts).split()

    def __call__(self, text, vocab_size, special_tokens=()):
        marks = [m.encode("utf-8") for m in special_tokens]
        pieces = self.split(text, special_tokens)
        if not self.weigh:
            pieces = list(dict.fromkeys(pieces))
        if self.chars:
            line = [[c.encode() for c in p] for p in pieces]
            base = [c.encode() for c in sorted({c for p in pieces for c in p})]
        else:
            line = [[p.encode()[i : i + 1] for i in range(len(p.encode()))] for p in pieces]
            base = [bytes((b,)) for b in self.order if not self.seen or b in text.encode()]
        entries = [] if self.where in ("back", "none") else list(marks)
        place = {token: len(entries) + i for i, token in enumerate(base)}
        entries += base
        wanted = {"rest": vocab_size - len(marks) - len(base), "size": vocab_size, "bytes": vocab_size - len(base)}
        rules = []
        while len(rules) < wanted[self.many]:
            tally = {}
            for word in line:
                for i in range(len(word) - 1):
                    two = (word[i], word[i + 1])
                    tally[two] = tally.get(two, 0) + 1
            if not tally:
                break
            top = max(tally.values())
            tied = [two for two in tally if tally[two] == top]
            rank = lambda two: (place[two[0]], place[two[1]])  # noqa: E731
            two = tied[0] if self.tie == "first" else (min if self.tie == "small" else max)(tied, key=rank)
            line = [merge(word, two, two[0] + two[1]) for word in line]
            rules.append(rank(two) if self.numbers else two)
            place[two[0] + two[1]] = len(entries)
            entries.append(two[0] + two[1])
        if self.where == "back":
            entries += marks
        return {i: token for i, token in enumerate(entries)}, rules


class Encoder:
    """Encoding in rounds over the rules; every mistake is a switch."""

    def __init__(self, way="rank", cutting="cut", ids="vocab", chars=False):
        self.__dict__.update(locals())

    def split(self, text, marks):
        if self.cutting == "blind":
            return [(p, 0) for p, _ in cut(text)]
        if self.cutting == "spaces":
            return [(p, p in marks) for p in text.split()]
        if self.cutting == "short":
            marks = sorted(marks, key=len)
            parts = re.split("(" + "|".join(map(re.escape, marks)) + ")", text) if marks else [text]
            return [pair for p in parts for pair in ([(p, 1)] if p in marks else cut(p))]
        if self.cutting == "whole":
            parts = re.split("(" + "|".join(map(re.escape, sorted(marks, key=len)[::-1])) + ")", text) if marks else [text]
            return [(p, p in marks) for p in parts if p]
        return cut(text, marks)

    def work(self, word, rules, names):
        if self.way == "longest":
            out, i = [], 0
            while i < len(word):
                n = next(n for n in range(len(word), i, -1) if n == i + 1 or b"".join(word[i:n]) in names)
                out.append(b"".join(word[i:n]))
                i = n
            return out
        if self.way == "left":
            changed = True
            while changed:
                changed = False
                for i in range(len(word) - 1):
                    if (word[i], word[i + 1]) in rules:
                        word = [*word[:i], word[i] + word[i + 1], *word[i + 2 :]]
                        changed = True
                        break
            return word
        if self.way == "last":
            while True:
                ranks = [rules.index(two) for two in zip(word, word[1:]) if two in rules]
                if not ranks:
                    return word
                two = rules[max(ranks)]
                word = merge(word, two, two[0] + two[1])
        for two in [] if self.way == "none" else rules:
            if two in list(zip(word, word[1:])):
                word = merge(word, two, two[0] + two[1], limit=1 if self.way == "single" else 10**6)
                if self.way == "one":
                    return word
        return word

    def __call__(self, text, vocab, merges, special_tokens=()):
        names, out = {vocab[i]: i for i in vocab}, []
        for part, mark in self.split(text, special_tokens):
            if mark:
                out.append(names[part.encode()])
                continue
            start = list(part) if self.chars else [chr(b) for b in part.encode()]
            word = [c.encode("utf-8" if self.chars else "latin-1") for c in start]
            for token in self.work(word, merges, names):
                if self.ids == "rank":
                    made = [a + b for a, b in merges]
                    out.append(256 + made.index(token) if token in made else BYTE_ORDER.index(token[0]))
                elif self.ids == "value" and len(token) == 1:
                    out.append(ord(token))
                else:
                    out.append(names[token])
        return out


def text_of(ids, vocab, errors="replace", glue=b"", code="utf-8"):
    data = bytearray()
    for n, i in enumerate(ids):
        data += (glue if n else b"") + vocab[i]
    return str(data, code, errors)


def one_by_one(ids, vocab):
    text = ""
    for i in ids:
        text += str(vocab[i], "utf-8", "replace")
    return text


class Probe:
    """A test of tokenizers on other texts than ours."""

    def __init__(self, equal=lambda a, b, code: a == b, ascii=False, error="fails", enough=False, turn=False):
        self.__dict__.update(locals())

    def __call__(self, encode, decode):
        samples = ["Hello There", "a  b", " x", "x\n", "1 + 1 = 2; and not never", "", "zz" * 400]
        if not self.ascii:
            samples += ["\u4f60\u597d\u4e16\u754c", "o\u0308 \u00f6 e\u0301", "\U0001f600", "\u00df"]
        good = []
        for sample in samples:
            if self.error == "raises":
                good.append(self.equal(decode(encode(sample)), sample, encode))
                continue
            try:
                good.append(self.equal(decode(encode(sample)), sample, encode))
            except Exception:
                good.append(self.error == "passes")
        answer = any(good) if self.enough else False not in good
        return not answer if self.turn else answer


def nfc(text):
    return unicodedata.normalize("NFC", text)


VERSIONS = {
    "tokenization.most_frequent_pair": {
        "counts_ignored": [Pair(weigh=False)],
        "tie_first_seen": [Pair("first")],
        "tie_largest": [Pair("large")],
        "across_words": [Pair(cross=True), Pair(cross=True, weigh=False)],
        "order_ignored": [Pair(turn=True)],
        "once_a_word": [Pair(once=True)],
        "overlaps_left_out": [Pair(run=False)],
        "pair_and_count": [Pair(tell=True)],
        "rarest": [Pair(most=False)],
    },
    "tokenization.merge": {
        "second_kept": [lambda t, p, n: merge(t, p, n, skip=0)],
        "from_the_right": [lambda t, p, n: merge(t, p, n, left=False)],
        "first_only": [lambda t, p, n: merge(t, p, n, limit=1)],
        "end_lost": [lambda t, p, n: merge(t, p, n, end=False)],
        "order_ignored": [lambda t, p, n: merge(t, p, n, any_order=True)],
        "one_too_far": [lambda t, p, n: merge(t, p, n, skip=2)],
        "members_replaced": [lambda t, p, n: join_marks(t, p, n, "single")],
        "digits_replaced": [lambda t, p, n: json.loads(str(list(t)).replace(f"{p[0]}, {p[1]}", str(n)))],
        "pair_kept": [lambda t, p, n: join_marks(t, p, n, "pair")],
        "pair_dropped": [lambda t, p, n: join_marks(t, p, n, "nothing")],
    },
    "tokenization.bpe_train": {
        "no_pieces": [Trainer("parts")],
        "spaces_lost": [Trainer("words")],
        "tie_first_seen": [Trainer(tie="first")],
        "tie_largest": [Trainer(tie="large")],
        "bytes_by_value": [Trainer(order=list(range(256)))],
        "seen_bytes_only": [Trainer(seen=True)],
        "characters": [Trainer(chars=True)],
        "size_is_merges": [Trainer(many="size")],
        "special_not_counted": [Trainer(many="bytes")],
        "special_missing": [Trainer(where="none"), Trainer(where="none", many="bytes")],
        "special_last": [Trainer(where="back")],
        "special_as_text": [Trainer("blind")],
        "counts_ignored": [Trainer(weigh=False)],
        "merges_as_ids": [Trainer(numbers=True)],
    },
    "tokenization.bpe_encode": {
        "longest_match": [Encoder("longest")],
        "leftmost_known": [Encoder("left")],
        "latest_merge_first": [Encoder("last")],
        "one_merge_only": [Encoder("one")],
        "first_place_only": [Encoder("single")],
        "no_merges": [Encoder("none")],
        "no_pieces": [Encoder(cutting="whole")],
        "spaces_lost": [Encoder(cutting="spaces")],
        "special_as_text": [Encoder(cutting="blind")],
        "short_special_first": [Encoder(cutting="short")],
        "rank_as_id": [Encoder(ids="rank")],
        "byte_value_as_id": [Encoder(ids="value")],
        "characters": [Encoder(chars=True)],
    },
    "tokenization.bpe_decode": {
        "token_by_token": [one_by_one],
        "raises_on_broken_bytes": [lambda i, v: text_of(i, v, "strict")],
        "broken_bytes_dropped": [lambda i, v: text_of(i, v, "ignore")],
        "backslashes": [lambda i, v: text_of(i, v, "backslashreplace")],
        "one_character_a_byte": [lambda i, v: text_of(i, v, code="latin-1")],
        "ascii": [lambda i, v: text_of(i, v, code="ascii")],
        "spaces_between": [lambda i, v: text_of(i, v, glue=b" ")],
        "stripped": [lambda i, v: text_of(i, v).strip(), lambda i, v: re.sub(r"^\s+", "", text_of(i, v))],
        "bytes_not_text": [lambda i, v: bytes(b for n in i for b in v[n])],
    },
    "tokenization.is_lossless": {
        "case_ignored": [Probe(lambda a, b, code: a.upper() == b.upper())],
        "words_compared": [Probe(lambda a, b, code: re.findall(r"\S+", a) == re.findall(r"\S+", b))],
        "lengths_compared": [Probe(lambda a, b, code: not len(a) - len(b))],
        "ids_compared": [Probe(lambda a, b, code: list(code(a)) == list(code(b)))],
        "normal_forms_compared": [Probe(lambda a, b, code: nfc(a) == nfc(b))],
        "ascii_only": [Probe(ascii=True)],
        "errors_let_through": [Probe(error="raises")],
        "errors_forgiven": [Probe(error="passes")],
        "one_is_enough": [Probe(enough=True)],
        "answer_turned": [Probe(turn=True)],
    },
}
