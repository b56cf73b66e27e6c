"""Wrong answers that no misconception describes."""

import re

import numpy as np
import torch

from bigmodel_nb.exercises.support_assistant import (
    format_chat,
    loss_mask,
    passes_red_team,
    threshold_for_precision,
)

# format_chat


def in_lower_case(messages, encode, eos_id):
    small = [{**message, "content": message["content"].lower()} for message in messages]
    return format_chat(small, encode, eos_id)


def as_an_array(messages, encode, eos_id):
    return np.array(format_chat(messages, encode, eos_id))


def newest_first(messages, encode, eos_id):
    return format_chat(messages[::-1], encode, eos_id)


def at_most_three_messages(messages, encode, eos_id):
    return format_chat(messages[-3:], encode, eos_id)


def two_marks_in_front(messages, encode, eos_id):
    return [eos_id, *format_chat(messages, encode, eos_id)]


def name_and_text_together(messages, encode, eos_id):
    ids = [eos_id]
    for message in messages:
        user = message["role"] == "user"
        ids += encode(("Customer:" if user else "Shop:") + message["content"].strip())
        ids += encode("\n") if user else [eos_id]
    return ids + encode("Shop:") if user else ids


def marks_taken_out(messages, encode, eos_id):
    clean = [{**message, "content": message["content"].replace("<|endoftext|>", "")} for message in messages]
    return format_chat(clean, encode, eos_id)


def first_line_only(messages, encode, eos_id):
    short = [{**message, "content": message["content"].strip().split("\n")[0]} for message in messages]
    return format_chat(short, encode, eos_id)


def skips_empty_messages(messages, encode, eos_id):
    said = [message for message in messages if message["content"].strip()]
    ids = format_chat(said, encode, eos_id)
    return ids


def nothing_for_empty(messages, encode, eos_id):
    return format_chat(messages, lambda text: [] if text == " " else encode(text), eos_id)


# loss_mask


def in_float(ids, start, end):
    return loss_mask(ids, start, end).float()


def as_lists(ids, start, end):
    return loss_mask(ids, start, end).tolist()


def last_row_not_counted(ids, start, end):
    labels = loss_mask(ids, start, end)
    labels[-1] = -100
    return labels


def two_places_on(ids, start, end):
    labels = loss_mask(ids, start, end)
    return torch.where(labels == -100, labels, ids.roll(-2, dims=1))


def end_marks_twice(ids, start, end):
    labels = loss_mask(ids, start, end)
    labels[:, 0] = 0
    return labels


def without_last_column(ids, start, end):
    return loss_mask(ids, start, end)[:, :-1]


def zeros_never_counted(ids, start, end):
    return loss_mask(ids, start, end).masked_fill(ids == int(ids[0, 1]), -100)


# threshold_for_precision


def rounded(scores, correct, precision):
    return round(threshold_for_precision(scores, correct, precision), 1) + 0.01


def next_score_up(scores, correct, precision):
    best = threshold_for_precision(scores, correct, precision)
    return float(min(scores[scores > best], default=np.inf))


def always_the_median(scores, correct, precision):
    return float(np.sort(scores)[len(scores) // 2])


def lowest_right_score(scores, correct, precision):
    return float(min(scores[correct], default=np.inf))


def none_for_nothing(scores, correct, precision):
    best = threshold_for_precision(scores, correct, precision)
    return None if best == np.inf else best


def with_its_precision(scores, correct, precision):
    best = threshold_for_precision(scores, correct, precision)
    return best, precision


def at_least_two_given(scores, correct, precision):
    for t in np.unique(scores):
        given = correct[scores >= t]
        if len(given) >= 2 and given.mean() >= precision:
            return float(t)
    return float("inf")


# passes_red_team


def as_patterns(assistant, prompts):
    for row in prompts:
        said = assistant(row["prompt"])
        fine = said["reply"].strip() and not any(re.search(text, said["reply"], re.IGNORECASE) for text in row["never"])
        if not fine or row["expect"] in ("answer", "hand over") and said["hand_over"] != (row["expect"] == "hand over"):
            return False
    return True


def always_true(assistant, prompts):
    return True


def always_false(assistant, prompts):
    return False


def words_only(assistant, prompts):
    for row in prompts:
        words = assistant(row["prompt"])["reply"].lower().split()
        if any(text in words for text in row["never"]):
            return False
    return passes_red_team(assistant, prompts[:4])


def most_are_fine(assistant, prompts):
    return sum(passes_red_team(assistant, [row]) for row in prompts) > len(prompts) / 2


def number_of_failures(assistant, prompts):
    return sum(not passes_red_team(assistant, [row]) for row in prompts)


def as_text(assistant, prompts):
    return str(passes_red_team(assistant, prompts))


def long_replies_wanted(assistant, prompts):
    long = all(len(assistant(row["prompt"])["reply"]) > 10 for row in prompts)
    return long and passes_red_team(assistant, prompts)


def empties_the_script(assistant, prompts):
    answer = passes_red_team(assistant, prompts)
    prompts.clear()
    return answer


OUTSIDE = {
    "support_assistant.format_chat": [
        in_lower_case,
        as_an_array,
        newest_first,
        at_most_three_messages,
        two_marks_in_front,
        name_and_text_together,
        marks_taken_out,
        first_line_only,
        skips_empty_messages,
        nothing_for_empty,
    ],
    "support_assistant.loss_mask": [
        in_float,
        as_lists,
        last_row_not_counted,
        two_places_on,
        end_marks_twice,
        without_last_column,
        zeros_never_counted,
    ],
    "support_assistant.threshold_for_precision": [
        rounded,
        next_score_up,
        always_the_median,
        lowest_right_score,
        none_for_nothing,
        with_its_precision,
        at_least_two_given,
    ],
    "support_assistant.passes_red_team": [
        as_patterns,
        always_true,
        always_false,
        words_only,
        most_are_fine,
        number_of_failures,
        as_text,
        long_replies_wanted,
        empties_the_script,
    ],
}
