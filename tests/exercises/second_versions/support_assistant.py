"""Each misconception once more, in another style and with other names."""

import math

import torch

from bigmodel_nb.exercises.support_assistant import passes_red_team

END = "<|endoftext|>"

# format_chat: as a chain of pieces, one list for each message


def chain(turn, begin=True, close=None, whole=lambda talk: talk):
    def work(talk, tok, end):
        flow = [[end]] if begin else []
        for who, said in [(m["role"], m["content"]) for m in whole(talk)]:
            flow.extend(turn(who, said, tok, end))
        flow.extend([close(talk, tok)] if close else [tok("Shop:")] if talk[-1]["role"] == "user" else [])
        return sum(flow, [])

    return work


def plain(who, said, tok, end):
    if who == "assistant":
        return [tok("Shop:"), tok(f" {said.strip()}"), [end]]
    return [tok("Customer:"), tok(f" {said.strip()}"), tok("\n")]


def in_one(who, said, tok, end):
    return [tok("Shop: " + said.strip()), [end]] if who == "assistant" else [tok("Customer: " + said.strip()), tok("\n")]


def line_in_one(who, said, tok, end):
    return in_one(who, said, tok, end) if who == "assistant" else [tok(f"Customer: {said.strip()}\n")]


def endless(who, said, tok, end):
    return plain(who, said, tok, end)[:2] if who == "assistant" else plain(who, said, tok, end)


def blank_after_colon(who, said, tok, end):
    name = {"user": "Customer: ", "assistant": "Shop: "}[who]
    return [tok(name), tok(said.strip()), plain(who, said, tok, end)[-1]]


def glued(who, said, tok, end):
    head, _, tail = plain(who, said, tok, end)
    return [head, tok(said.strip()), tail]


def ragged(who, said, tok, end):
    head, _, tail = plain(who, said, tok, end)
    return [head, tok(" " + said), tail]


def crossed(who, said, tok, end):
    other = {"user": "assistant", "assistant": "user"}[who]
    return [plain(other, said, tok, end)[0], *plain(who, said, tok, end)[1:]]


def marked(who, said, tok, end):
    return [*plain(who, said, tok, end)[:2], [end]]


def on_one_line(who, said, tok, end):
    parts = plain(who, said, tok, end)
    return parts if who == "assistant" else parts[:2]


def spelled_mark(talk, tok, end):
    lines = [END]
    for m in talk:
        if m["role"] == "user":
            lines.append(f"Customer: {m['content'].strip()}\n")
        else:
            lines.append(f"Shop: {m['content'].strip()}{END}")
    if talk[-1]["role"] == "user":
        lines.append("Shop:")
    return tok("".join(lines))


def searched_mark(talk, tok, end):
    text = "".join(
        f"Customer: {m['content'].strip()}\n" if m["role"] == "user" else f"Shop: {m['content'].strip()}{END}" for m in talk
    )
    text = END + text + ("Shop:" if talk[-1]["role"] == "user" else "")
    ids = []
    while END in text:
        before, _, text = text.partition(END)
        ids = ids + tok(before) + [end]
    return ids + tok(text)


# loss_mask: as lists, row by row


def rows(cell):
    """labels from cell(row, t, first, stop) -> label, over nested lists."""

    def work(ids, start, end):
        table = []
        for row, first, stop in zip(ids.tolist(), start.tolist(), end.tolist()):
            table.append([cell(row, t, first, stop) for t in range(len(row))])
        return torch.tensor(table)

    return work


def after(row, t):
    return row[(t + 1) % len(row)]


def kept(row, t, low, high, fill=-100):
    return after(row, t) if low <= t + 1 < high else fill


def one_pair(ids, start, end):
    first, stop = int(start[0]), int(end[0])
    out = torch.full(ids.shape, -100)
    out[:, first - 1 : stop - 1] = ids[:, first:stop]
    return out


# threshold_for_precision: with sorted pairs


def given_above(scores, correct, t):
    return [c for s, c in zip(scores.tolist(), correct.tolist()) if s >= t]


def scan(wanted, descending=False, otherwise=math.inf):
    def work(scores, correct, precision):
        for t in sorted(set(scores.tolist()), reverse=descending):
            if wanted(scores, correct, t, precision):
                return t
        return otherwise

    return work


def rate(values):
    return sum(values) / len(values) if values else 0.0


def enough(scores, correct, t, precision):
    return rate(given_above(scores, correct, t)) >= precision


def without_itself(scores, correct, t, precision):
    return rate([c for s, c in zip(scores.tolist(), correct.tolist()) if s > t]) >= precision


def of_all(scores, correct, t, precision):
    return sum(given_above(scores, correct, t)) >= precision * len(scores)


def of_the_right(scores, correct, t, precision):
    return sum(given_above(scores, correct, t)) >= precision * max(1, sum(correct.tolist()))


def strictly(scores, correct, t, precision):
    return rate(given_above(scores, correct, t)) > precision


def below(scores, correct, t, precision):
    return rate([c for s, c in zip(scores.tolist(), correct.tolist()) if s <= t]) >= precision


def down_to_the_dip(scores, correct, precision):
    answer = math.inf
    for t in sorted(set(scores.tolist()), reverse=True):
        if not enough(scores, correct, t, precision):
            return answer
        answer = t
    return answer


def cut_anywhere(scores, correct, precision):
    pairs = sorted(zip(scores.tolist(), correct.tolist()), key=lambda pair: -pair[0])
    right, answer = 0, math.inf
    for n, (score, fine) in enumerate(pairs, start=1):
        right += fine
        if right / n >= precision:
            answer = score
    return answer


def trusts(scores, correct, precision):
    return 0.0 + precision


def interpolated(scores, correct, precision):
    ordered = sorted(scores.tolist())
    place = precision * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def last_resort(scores, correct, precision):
    found = [t for t in scores.tolist() if enough(scores, correct, t, precision)]
    return min(found) if found else max(scores.tolist())


# passes_red_team: a list of complaints


def complaints(judge):
    def test(bot, script):
        return not [row for row in script if judge(row, bot(row["prompt"]))]

    return test


def silent(said):
    return said["reply"].isspace() or said["reply"] == ""


def rude(row, said):
    small = said["reply"].casefold()
    return sum(small.count(text) for text in row["never"]) > 0


def undecided(row, said):
    if row["expect"] == "answer":
        return said["hand_over"]
    return row["expect"] == "hand over" and not said["hand_over"]


def judged(*parts):
    return complaints(lambda row, said: any(part(row, said) for part in parts))


def is_silent(row, said):
    return silent(said)


def asks_person_only(row, said):
    return row["expect"] == "hand over" and not said["hand_over"]


def answers_only(row, said):
    return row["expect"] == "answer" and said["hand_over"]


def strict(row, said):
    return said["hand_over"] is not (row["expect"] == "hand over")


def case_kept(row, said):
    return any(said["reply"].find(text) >= 0 for text in row["never"])


def small_or_shouted(row, said):
    return any(form in said["reply"] for text in row["never"] for form in (text, text.upper()))


def first_text(row, said):
    return any(text in said["reply"].lower() for text in row["never"][:1])


def all_texts(row, said):
    found = [text in said["reply"].lower() for text in row["never"]]
    return found != [] and False not in found


def same_text(row, said):
    return any(said["reply"].lower() == text for text in row["never"])


def in_prompt(row, said):
    return any(text in row["prompt"].casefold() for text in row["never"])


def lucky(bot, script):
    for row in script:
        said = bot(row["prompt"])
        if not (silent(said) or rude(row, said) or undecided(row, said)):
            return True
    return False


def hasty(bot, script):
    for row in script:
        said = bot(row["prompt"])
        return not (silent(said) or rude(row, said) or undecided(row, said))
    return True


def tired(bot, script):
    return passes_red_team(bot, script[: len(script) - 1])


def fails(bot, script):
    return passes_red_team(bot, script) is False


VERSIONS = {
    "support_assistant.format_chat": {
        "answer_without_end": [chain(endless)],
        "answer_not_opened": [chain(plain, close=lambda talk, tok: [])],
        "answer_always_opened": [chain(plain, close=lambda talk, tok: tok("Shop:"))],
        "opened_with_a_blank": [
            chain(plain, close=lambda talk, tok: tok("Shop: ") if talk[-1]["role"] == "user" else [])
        ],
        "blank_with_the_name": [chain(blank_after_colon)],
        "encoded_in_one_call": [chain(in_one), chain(line_in_one)],
        "blank_forgotten": [chain(glued)],
        "blanks_kept": [chain(ragged)],
        "names_exchanged": [chain(crossed)],
        "no_first_mark": [chain(plain, begin=False)],
        "mark_after_every_message": [chain(marked)],
        "no_line_end": [chain(on_one_line)],
        "history_forgotten": [chain(plain, whole=lambda talk: [talk[-1]])],
        "mark_written_out": [spelled_mark],
        "customer_can_write_the_mark": [searched_mark],
    },
    "support_assistant.loss_mask": {
        "not_shifted": [rows(lambda row, t, a, z: row[t] if a <= t < z else -100)],
        "shifted_with_the_mask_left_behind": [rows(lambda row, t, a, z: after(row, t) if a <= t < z else -100)],
        "message_counted_too": [rows(lambda row, t, a, z: kept(row, t, 0, z))],
        "turned_round": [rows(lambda row, t, a, z: -100 if a <= t + 1 < z else after(row, t))],
        "end_mark_missed": [rows(lambda row, t, a, z: kept(row, t, a, z - 1))],
        "first_token_missed": [rows(lambda row, t, a, z: kept(row, t, a + 1, z))],
        "one_too_early": [rows(lambda row, t, a, z: kept(row, t, a - 1, z))],
        "padding_counted": [rows(lambda row, t, a, z: row[t + 1] if a - 1 <= t < len(row) - 1 else -100)],
        "ignored_places_are_zero": [rows(lambda row, t, a, z: kept(row, t, a, z, 0))],
        "minus_one_for_ignored": [rows(lambda row, t, a, z: kept(row, t, a, z, -1))],
        "mask_instead_of_labels": [rows(lambda row, t, a, z: a - 1 <= t < z - 1)],
        "one_border_for_all_rows": [one_pair],
        "shifted_the_wrong_way": [rows(lambda row, t, a, z: row[t - 1] if a <= t + 1 < z else -100)],
    },
    "support_assistant.threshold_for_precision": {
        "highest_instead_of_lowest": [scan(enough, descending=True)],
        "stopped_at_the_first_dip": [down_to_the_dip],
        "the_score_itself_left_out": [scan(without_itself)],
        "divided_by_all": [scan(of_all)],
        "recall": [scan(of_the_right, descending=True)],
        "precision_as_threshold": [trusts],
        "quantile_of_the_scores": [interpolated],
        "exact_precision_refused": [scan(strictly)],
        "equal_scores_cut": [cut_anywhere],
        "answers_although_none_will_do": [last_resort],
        "unsure_answers_kept": [scan(below)],
    },
    "support_assistant.passes_red_team": {
        "refusing_everything_passes": [judged(is_silent, rude, asks_person_only)],
        "hand_over_not_tested": [judged(is_silent, rude)],
        "only_answers_tested": [judged(is_silent, rude, answers_only)],
        "too_strict_about_refusals": [judged(is_silent, rude, strict)],
        "capitals_pass": [judged(is_silent, case_kept, undecided)],
        "two_ways_of_writing_only": [judged(is_silent, small_or_shouted, undecided)],
        "first_forbidden_text_only": [judged(is_silent, first_text, undecided)],
        "all_forbidden_texts_needed": [judged(is_silent, all_texts, undecided)],
        "whole_reply_compared": [judged(is_silent, same_text, undecided)],
        "prompt_searched": [judged(is_silent, in_prompt, undecided)],
        "forbidden_texts_not_searched": [judged(is_silent, undecided)],
        "silence_passes": [judged(rude, undecided)],
        "one_good_reply_is_enough": [lucky],
        "first_prompt_only": [hasty],
        "last_prompt_left_out": [tired],
        "answer_turned_round": [fails],
    },
}
