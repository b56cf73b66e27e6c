"""Wrong answers that no misconception describes."""

from bigmodel_nb.bytelevel import cut
from bigmodel_nb.exercises.tokenization import bpe_decode, bpe_encode, bpe_train, is_lossless, merge, most_frequent_pair

# most_frequent_pair


def turned_round(words):
    a, b = most_frequent_pair(words)
    return b, a


def as_list(words):
    return list(most_frequent_pair(words))


def longest_word_only(words):
    ids = max(words, key=len)
    return most_frequent_pair({ids: words[ids]})


def smallest_of_all(words):
    return min(pair for ids in words for pair in zip(ids, ids[1:]))


def first_pair_of_each_word(words):
    return most_frequent_pair({ids[:2]: n for ids, n in words.items()})


def ties_as_text(words):
    tally = {}
    for ids, n in words.items():
        for pair in zip(ids, ids[1:]):
            tally[pair] = tally.get(pair, 0) + n
    return min(tally, key=lambda pair: (-tally[pair], str(pair))) if tally else None


# merge


def until_nothing_changes(ids, pair, new_id):
    merged = merge(ids, pair, pair[0])
    return merged if merged == list(ids) else until_nothing_changes(merged, pair, new_id)


def as_tuple(ids, pair, new_id):
    return tuple(merge(ids, pair, new_id))


def new_at_the_end(ids, pair, new_id):
    rest = [i for i in merge(ids, pair, new_id) if i != new_id]
    return rest + [new_id] * (len(ids) - len(rest) > 0)


def every_other_token(ids, pair, new_id):
    return merge(list(ids)[::2], pair, new_id)


def sum_of_the_pair(ids, pair, new_id):
    return merge(ids, pair, pair[0] + pair[1])


# bpe_train


def one_merge_less(text, vocab_size, special_tokens=()):
    return bpe_train(text, vocab_size - 1, special_tokens)


def small_letters(text, vocab_size, special_tokens=()):
    return bpe_train(text.upper(), vocab_size, special_tokens)


def first_half(text, vocab_size, special_tokens=()):
    return bpe_train(text[: len(text) // 2], vocab_size, special_tokens)


def turned_vocabulary(text, vocab_size, special_tokens=()):
    vocab, merges = bpe_train(text, vocab_size, special_tokens)
    return {token: i for i, token in vocab.items()}, merges


def joined_merges(text, vocab_size, special_tokens=()):
    vocab, merges = bpe_train(text, vocab_size, special_tokens)
    return vocab, [a + b for a, b in merges]


def vocabulary_alone(text, vocab_size, special_tokens=()):
    return bpe_train(text, vocab_size, special_tokens)[0]


# bpe_encode


def half_the_merges(text, vocab, merges, special_tokens=()):
    return bpe_encode(text, vocab, merges[: len(merges) // 2], special_tokens)


def from_the_end(text, vocab, merges, special_tokens=()):
    return bpe_encode(text, vocab, merges, special_tokens)[::-1]


def each_token_once(text, vocab, merges, special_tokens=()):
    return list(dict.fromkeys(bpe_encode(text, vocab, merges, special_tokens)))


def a_list_for_each_piece(text, vocab, merges, special_tokens=()):
    return [bpe_encode(piece, vocab, merges, special_tokens) for piece, _ in cut(text, special_tokens)]


def special_left_out(text, vocab, merges, special_tokens=()):
    return bpe_encode("".join(piece for piece, special in cut(text, special_tokens) if not special), vocab, merges)


# bpe_decode


def utf16(ids, vocab):
    return b"".join(vocab[i] for i in ids).decode("utf-16", "replace")


def question_marks(ids, vocab):
    return bpe_decode(ids, vocab).replace("\ufffd", "?")


def first_token_lost(ids, vocab):
    return bpe_decode(ids[1:], vocab)


def in_order_of_the_ids(ids, vocab):
    return bpe_decode(sorted(ids), vocab)


# is_lossless


def always(encode, decode):
    return bool([True])


def capitals_only(encode, decode):
    return decode(encode("The Wolf")) == "The Wolf"


def short_texts_only(encode, decode):
    def first(text):
        return encode(text[:100])

    return is_lossless(first, decode)


def one_for_true(encode, decode):
    return int(is_lossless(encode, decode))


def longest_special_first(text, vocab_size, special_tokens=()):
    return bpe_train(text, vocab_size, sorted(special_tokens, key=len, reverse=True))


def runs_from_the_right(text, vocab, merges, special_tokens=()):
    names, out = {token: i for i, token in vocab.items()}, []
    for piece, special in cut(text, special_tokens):
        tokens = [piece.encode()] if special else [bytes([b]) for b in piece.encode()]
        for pair in () if special else merges:
            tokens = merge(tokens[::-1], pair[::-1], pair[0] + pair[1])[::-1]
        out += [names[token] for token in tokens]
    return out


def whole_piece_looked_up(text, vocab, merges, special_tokens=()):
    names, out = {token: i for i, token in vocab.items()}, []
    for piece, special in cut(text, special_tokens):
        if special or piece.encode() in names:
            out.append(names[piece.encode()])
        else:
            out += bpe_encode(piece, vocab, merges)
    return out


OUTSIDE = {
    "tokenization.most_frequent_pair": [
        turned_round, as_list, longest_word_only, smallest_of_all, first_pair_of_each_word,
        ties_as_text,
    ],
    "tokenization.merge": [until_nothing_changes, as_tuple, new_at_the_end, every_other_token, sum_of_the_pair],
    "tokenization.bpe_train": [
        one_merge_less, small_letters, first_half, turned_vocabulary, joined_merges, vocabulary_alone,
        longest_special_first,
    ],
    "tokenization.bpe_encode": [
        half_the_merges, from_the_end, each_token_once, a_list_for_each_piece, special_left_out,
        runs_from_the_right, whole_piece_looked_up,
    ],
    "tokenization.bpe_decode": [utf16, question_marks, first_token_lost, in_order_of_the_ids],
    "tokenization.is_lossless": [always, capitals_only, short_texts_only, one_for_true],
}  # fmt: skip
