"""Right answers of lesson 15 in another style."""

import re


def pieces(messages, encode, eos_id):
    out = [[eos_id]]
    for message in messages:
        out += [encode({"user": "Customer:", "assistant": "Shop:"}[message["role"]]), encode(f" {message['content'].strip()}")]
        out.append(encode("\n") if message["role"] == "user" else [eos_id])
    if messages[-1]["role"] == "user":
        out.append(encode("Shop:"))
    return sum(out, [])


def by_escaped_patterns(assistant, prompts):
    def fine(row, said):
        if re.fullmatch(r"\s*", said["reply"]) or any(re.search(re.escape(t), said["reply"], re.IGNORECASE) for t in row["never"]):
            return False
        return said["hand_over"] == {"answer": False, "hand over": True}.get(row["expect"], said["hand_over"])

    return all(fine(row, assistant(row["prompt"])) for row in prompts)


RIGHT = {
    "support_assistant.format_chat": [pieces],
    "support_assistant.passes_red_team": [by_escaped_patterns],
}
