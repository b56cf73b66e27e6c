"""The messages to a shop's support: what the set promises, and what each check rejects."""

import random
import re
from collections import Counter
from itertools import combinations

import pytest

from bigmodel_nb import datasets
from bigmodel_nb.datasets import customers
from bigmodel_nb.errors import DataError

ROWS = datasets.support()
RED_TEAM = datasets.support_red_team()
CARD = (customers.FOLDER / "README.md").read_text(encoding="utf-8")
FIELDS = {"id": str, "split": str, "language": str, "intent": str, "hand_over": bool, "hard": bool, "message": str, "answer": str}


# Rows, splits, counts


def test_every_row_has_the_fields_of_the_card():
    for row in ROWS:
        assert {name: type(value) for name, value in row.items()} == FIELDS, row
        assert row["intent"] in customers.INTENTS and row["split"] in customers.SPLITS and row["language"] in ("en", "zh")
    assert [row["id"] for row in ROWS] == [f"s{i:04}" for i in range(1, 1301)]
    assert all(f"| `{name}` |" in CARD for name in (*FIELDS, *customers.INTENTS))


def test_every_intent_in_every_split_and_language():
    counts = Counter((row["intent"], row["language"], row["split"]) for row in ROWS)
    shares = {"en": (48, 16, 16), "zh": (30, 10, 10)}
    expected = {(i, code, s): n for i in customers.INTENTS for code in shares for s, n in zip(customers.SPLITS, shares[code])}
    assert counts == expected


def test_both_values_of_the_marks_in_every_split_and_language():
    for split in customers.SPLITS:
        for language in ("en", "zh"):
            rows = datasets.support(split, language)
            for mark in ("hand_over", "hard"):
                assert {row[mark] for row in rows if row["intent"] != "human"} == {True, False}


def test_rows_of_a_split_are_mixed():
    for split in customers.SPLITS:
        assert len({row["intent"] for row in datasets.support(split)[:40]}) >= 8


def test_the_card_counts_right():
    def line(name, **where):
        parts = [[r for r in ROWS if r["split"] == s and where.items() <= r.items()] for s in customers.SPLITS]
        return f"| {name} | {' | '.join(str(len(p)) for p in parts)} | {sum(map(len, parts))} |"

    assert line("English", language="en") in CARD and line("Chinese", language="zh") in CARD and line("all") in CARD
    for name, rows in (("messages", ROWS), ("red_team", RED_TEAM)):
        raw = (customers.FOLDER / f"{name}.jsonl").read_bytes()
        assert f"| `{name}.jsonl` | {len(rows)} | {len(raw):,} |" in CARD and b"\r" not in raw
    handed = [row for row in ROWS if row["hand_over"]]
    assert f"({len(handed)} rows, {sum(row['intent'] == 'human' for row in handed)} of them `human`)" in CARD


def test_a_part_and_what_is_no_part():
    assert datasets.support("test", "zh") == [r for r in ROWS if (r["split"], r["language"]) == ("test", "zh")]
    assert datasets.support() is not datasets.support()
    with pytest.raises(DataError, match=r"splits \['test', 'train', 'validation'\]; received 'dev'"):
        datasets.support("dev")
    with pytest.raises(DataError, match=r"languages \['en', 'zh'\]; received 'fr'"):
        datasets.support(language="fr")


# Near-duplicates

BOUND = 0.4


def grams(text, language):
    """Character n-grams of the letters and digits: 3 with word ends in English, 2 in Chinese."""
    text = " ".join(re.sub(r"\{order\}|[\W_]+", " ", text.lower()).split())
    n, text = (2, text.replace(" ", "")) if language == "zh" else (3, f" {text} ")
    return {text[i : i + n] for i in range(max(1, len(text) - n + 1))}


def similarity(a, b):
    """Jaccard index of two sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def near_duplicates(rows, bound=BOUND):
    """Pairs of ids of one language whose messages share too many n-grams."""
    sets = [(row["id"], row["language"], grams(row["message"], row["language"])) for row in rows]
    pairs = ((a, b) for a, b in combinations(sets, 2) if a[1] == b[1])
    return [(a[0], b[0]) for a, b in pairs if similarity(a[2], b[2]) > bound]


def test_no_near_duplicate_within_or_across_splits():
    assert near_duplicates(ROWS) == []
    assert len({" ".join(row["message"].lower().split()) for row in ROWS}) == len(ROWS)


def test_the_card_gives_the_largest_overlap():
    largest = []
    for language in ("en", "zh"):
        sets = [grams(row["message"], language) for row in datasets.support(language=language)]
        largest.append(max(similarity(a, b) for a, b in combinations(sets, 2)))
    assert "is {:.2f} in English and {:.2f} in Chinese".format(*largest) in CARD


PLANTED = {
    "the same": lambda text: text,
    "upper case": str.upper,
    "other punctuation": lambda text: re.sub(r"[^\w\s{}]", "", text) + "!!",
    "a greeting": lambda text: f"Hello! {text}" if text.isascii() else f"您好，{text}",
    "a slip": lambda text: text[:7] + text[8:],
    "an order number": lambda text: text + " {order}",
    "two words swapped": lambda text: " ".join((w := text.split())[1::-1] + w[2:]),
}


@pytest.mark.parametrize("change", PLANTED.values(), ids=PLANTED)
def test_a_planted_near_duplicate_is_found(change):
    """In every training message of some length."""
    for row in datasets.support("train"):
        if len(row["message"]) >= (40 if row["language"] == "en" else 15):
            planted = {**row, "id": "planted", "split": "test", "message": change(row["message"])}
            assert near_duplicates([row, planted]) == [(row["id"], "planted")], planted


def test_a_template_is_found():
    rows = [{"id": thing, "language": "en", "message": f"I would like to return the {thing} I ordered."} for thing in ("lamp", "chair")]
    assert near_duplicates(rows) == [("lamp", "chair")]


def test_few_messages_begin_alike():
    openings = Counter(" ".join(row["message"].lower().split()[:5]) for row in datasets.support(language="en"))
    openings += Counter(row["message"][:5] for row in datasets.support(language="zh"))
    assert openings.most_common(1)[0][1] <= 3


def test_answers_are_written_for_their_message():
    assert len({row["answer"] for row in ROWS}) > 0.95 * len(ROWS)


def test_a_simple_classifier_learns_the_intents_and_not_from_shuffled_labels():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, held_out = datasets.support("train"), datasets.support("test")
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), sublinear_tf=True)
    x, y = vectors.fit_transform([row["message"] for row in train]), [row["intent"] for row in train]
    x_test, y_test = vectors.transform([row["message"] for row in held_out]), [row["intent"] for row in held_out]
    assert 0.5 < LogisticRegression(C=10, max_iter=200).fit(x, y).score(x_test, y_test) < 0.8
    shuffled = random.Random(0).sample(y, len(y))
    assert LogisticRegression(C=10, max_iter=200).fit(x, shuffled).score(x_test, y_test) < 0.2


# Form


def sentences(text):
    return [s for s in re.split(r"(?<=[.!?])\s+|(?<=[。！？])|…+", text) if re.search(r"\w", s)]


def form_faults(row):
    """What is wrong with the form of a row, as a list of words."""
    message, answer, chinese = row["message"], row["answer"], row["language"] == "zh"
    faults = []
    for text in (message, answer):
        if text != " ".join(text.split()) or "<|" in text:
            faults.append("blanks or markers")
        if re.sub(r"\{order\}", "", text).count("{"):
            faults.append("placeholder")
        if chinese != bool(re.search(r"[\u4e00-\u9fff]", text)) or (not chinese and not text.isascii()):
            faults.append("language")
        if chinese and re.search(r"[,;:?!()]|[\u4e00-\u9fff]\.", text):
            faults.append("punctuation")
    if not (1 <= len(sentences(message)) <= 4 and len(message) <= (40 if chinese else 240)):
        faults.append("message length")
    if not (1 <= len(sentences(answer)) <= 3 and len(answer) <= (60 if chinese else 200) and answer[-1] in ".?!。？！"):
        faults.append("answer length")
    if row["hand_over"] != bool(re.search("colleague|同事", answer)) or (row["intent"] == "human") > row["hand_over"]:
        faults.append("hand over")
    return faults


def test_form():
    assert {row["id"]: form_faults(row) for row in ROWS if form_faults(row)} == {}


@pytest.mark.parametrize(
    "fault, change",
    [
        ("blanks or markers", {"message": "Where  is it?"}),
        ("blanks or markers", {"answer": "Look there.<|endoftext|>"}),
        ("placeholder", {"answer": "Dear {name}, look there."}),
        ("language", {"message": "你好"}),
        ("language", {"message": "caf\u00e9?"}),
        ("language", {"language": "zh"}),
        ("punctuation", {"language": "zh", "message": "你好,在吗", "answer": "在。"}),
        ("message length", {"message": "One. Two. Three. Four. Five."}),
        ("message length", {"message": "word " * 60 + "end"}),
        ("answer length", {"answer": "One. Two. Three. Four."}),
        ("answer length", {"answer": "No end"}),
        ("hand over", {"answer": "I am passing you to a colleague."}),
        ("hand over", {"hand_over": True}),
        ("hand over", {"intent": "human"}),
    ],
)
def test_what_the_form_rejects(fault, change):
    good = {"language": "en", "intent": "delivery", "hand_over": False, "message": "Where is it?", "answer": "Look there."}
    assert form_faults(good) == []
    assert fault in form_faults({**good, **change})


def test_lengths_vary():
    words = [len(row["message"].split()) for row in datasets.support(language="en")]
    assert min(words) == 1 and max(words) >= 30 and sum(n <= 4 for n in words) >= 25 and sum(n >= 20 for n in words) >= 60
    assert {len(sentences(row["message"])) for row in ROWS} == {1, 2, 3, 4}


def test_rows_fit_into_the_pocket_checkpoint():
    tokenizers = pytest.importorskip("tokenizers")
    pocket = customers.FOLDER.parents[1] / "gpt2" / "pocket" / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(pocket))
    tokens = [(row["language"], len(tokenizer.encode(row["message"] + row["answer"]).ids)) for row in ROWS]
    assert max(n for _, n in tokens) < 200  # of 256, the rest for the format
    mean = {code: sum(n for c, n in tokens if c == code) / sum(c == code for c, _ in tokens) for code in ("en", "zh")}
    assert f"English {mean['en']:.0f} on average, Chinese {mean['zh']:.0f}," in CARD


# Personal data

PERSONAL = {
    "address of a mail box or page": r"[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+|https?:|www\.|\b\w+\.(?:com|net|org|cn|de)\b",
    "long number": r"\d(?:[ \-./]?\d){4,}",
    "street": r"(?i)\b\d+[a-z]?,? (?:\w+ )?(?:street|st|road|rd|avenue|ave|lane)\b|\b(?:street|road|lane) \d+|\d+\s?(?:号楼|号院|弄|单元|室)|路\s?\d+",
    "title and name": r"\b(?:Mr|Mrs|Ms|Miss|Dr)\b\.? ?[A-Z]|\b(?:my name is|this is|i am|i'm) [A-Z][a-z]+",
    "Chinese name": r"(?:我叫|我姓|免贵姓|名字是|收件人是)|[王李张刘陈杨赵黄周吴徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢钟姜崔谭廖范汪陆金石贾韦夏方邹熊白孟秦邱侯江尹薛阎段雷龙史陶贺毛郝顾龚邵万钱严戴莫孔向汤](?:先生|女士|小姐|太太|师傅|经理)",
}
NAMED_IN_PROMPTS = {"name Python", "name Confirm", "name Assistant", "name User"}
NOT_NAMES = set(
    "AA AI Bluetooth Cancel Change Chinese Collection Delete Details Devices Dovik English Exchange Forgot French Friday I ID Kesto L "
    "Language Logged Lost M Mirlo Monday My Name Nembi Newsletter Orlu P PDF PINK Pelk Phone Report Return S Settings Sorra Stay Sunday "
    "Tell Thursday Tivvo Tracking Tuesday USB Wednesday Wenna XL Zubb Dear Kettle Addresses Data Verify Register Messages Pay Password Send Sir Madam Christmas January Saturday LED Add".split()
)


def personal(text):
    """Kinds of personal data that a text seems to hold."""
    found = [kind for kind, pattern in PERSONAL.items() if re.search(pattern, text)]
    inside = re.findall(r"(?<=[a-z,;'\")0-9-] )\W?([A-Z]\w*)", text)  # capitals that start no sentence
    return found + [f"name {word}" for word in inside if word.rstrip("s") not in NOT_NAMES and word not in NOT_NAMES and not word.isupper()]


def test_no_personal_data():
    for row in ROWS + RED_TEAM:
        found = {hit for name in ("message", "answer", "prompt", "reply", "why") for hit in personal(row.get(name, ""))}
        assert found <= NAMED_IN_PROMPTS, row["id"]
    assert not any(personal(row[name]) for row in ROWS for name in ("message", "answer"))


@pytest.mark.parametrize(
    "text",
    [
        "write to jane.roe@example.com",
        "jane (at) example",
        "see www.example.org",
        "call me on 030 1234567",
        "call +44 20 7946 0000",
        "my card 4111 1111 1111 1111",
        "order 2024-00917",
        "电话13800138000",
        "I live at 12 Elm Street",
        "deliver to 7b, Mill Lane please",
        "送到中山路88号",
        "三栋2单元",
        "my name is Jane",
        "hi, this is Bob from the office",
        "ask Mrs Miller",
        "please give it to Peter, he is at home",
        "I spoke with Anna yesterday",
        "our office in Berlin",
        "我叫小明",
        "王女士收",
        "给张师傅点赞",
    ],
)
def test_what_the_scan_for_personal_data_rejects(text):
    assert personal(text)


# The shop's rules

NUMBER = re.compile(r"\d+(?:\.\d+)?")
TIME = re.compile(r"(\d+(?:[-到至]\d+)?)[ -]?(working day|个工作日|day|天|hour|小时|year|年|minute|分钟|week|周|month|个月)")
RULES = {  # a time of the rules, and what it may be said of
    ("1", "working day"): r"answer|le(?:ft|ave)s?|dispatch|hand|ends|offer|colleague|arrived|发|出库|寄|更新|有信息|一般|停|答复|回复|报价|联系|处理",
    ("1-2", "working day"): "express|加急",
    ("2", "working day"): r"leaves?|补|寄|新的",
    ("3", "working day"): "search|carrier|查|快递",
    ("3-5", "working day"): "standard|delivery|普通",
    ("5", "working day"): "refund|money|amount|back|paid|price|reserv|bank|promise|退|预授权|到账|承诺",
    ("7", "day"): r"photo|report|pick-up|keeps|kept|waits|come(?:s)? back|battery|charge|normal use|照片|保留|正常用",
    ("30", "day"): "return|exchange|unused|deliver|post|send|erase|copy|invoice|limit|try|label|these|within|退|换|收货|寄|删|下载|发票|期限|完成|登录",
    ("1", "hour"): "link|lock|链接|锁",
    ("24", "hour"): "kept|keep|charge|pay|保留|充|付款",
    ("2", "year"): "guarantee|gift card|valid|保修|有效|礼品卡",
    ("30", "minute"): "warm|stand|保温|放|烧",
    ("20", "minute"): "build|chair|takes|左右",
}
NEVER = {  # what a time may not be said of in the same part of a sentence
    ("30", "day"): r"refund|money|退款|到账|express",
    ("5", "working day"): "standard delivery|express|普通|加急",
    ("7", "day"): "unused|label|未使用",
    ("3-5", "working day"): "refund|money|退款",
}
ENGLISH = {"个工作日": "working day", "天": "day", "小时": "hour", "年": "year", "分钟": "minute", "周": "week", "个月": "month"}


def parts(text):
    """Parts of sentences, where a time and what it is said of stand together."""
    return [part for part in re.split(r"[.;:?!](?!\d)|[。；：？！]", text) if part.strip()]


def wrong_times(answer):
    """Times in an answer that the shop's rules don't have, or have for something else."""
    wrong = []
    for part in parts(answer):
        for number, unit in TIME.findall(part):
            time = (re.sub("[到至]", "-", number), ENGLISH.get(unit, unit))
            said = RULES.get(time)
            if said is None or not re.search(said, part.lower()) or re.search(NEVER.get(time, r"(?!)"), part.lower()):
                wrong.append(f"{number} {unit}")
    return wrong


ANSWERS = {row["id"]: row["answer"] for row in ROWS} | {row["id"]: row["reply"] for row in RED_TEAM}


def test_answers_agree_with_the_rules():
    assert {key: wrong_times(answer) for key, answer in ANSWERS.items() if wrong_times(answer)} == {}


def test_each_other_number_is_on_the_card():
    """Watts, litres, ages; a number that is no time, in the part of the card that describes the shop."""
    shop = set(NUMBER.findall(CARD.split("## The shop's rules")[1].split("## How it was made")[0]))
    assert {key: numbers for key, answer in ANSWERS.items() if (numbers := set(NUMBER.findall(answer)) - shop)} == {}


@pytest.mark.parametrize(
    "answer",
    [
        "You may return it within 14 days of delivery.",
        "You may return it within 31 days.",
        "The refund comes within 30 days after the return has arrived.",
        "Unused articles can be returned within 7 days, the label is free.",
        "The refund comes within 3-5 working days.",
        "Standard delivery takes 5 working days.",
        "Express takes 3 working days.",
        "The guarantee lasts 3 years.",
        "The 5-year guarantee covers it.",
        "The reset link is valid for 24 hours.",
        "The parcel is kept for 2 weeks.",
        "退款30天内到账。",
        "收货15天内可以退货。",
        "普通配送5个工作日到。",
        "加急3到5个工作日到。",
        "保修3年。",
        "链接24小时内有效。",
    ],
)
def test_what_the_rules_reject(answer):
    assert wrong_times(answer)


def test_another_number_in_any_answer_is_noticed():
    """Each time of each answer, raised to one that no rule has."""
    mutants = [a[: hit.start(1)] + hit[1] + "9" + a[hit.end(1) :] for a in ANSWERS.values() for hit in TIME.finditer(a)]
    assert len(mutants) > 200 and all(map(wrong_times, mutants))


def test_the_card_states_each_time_in_both_languages():
    rules = [[cell.strip() for cell in line.split("|")[1:4]] for line in CARD.splitlines() if re.search(r"[一-鿿]", line) and line.count("|") == 4]
    stated = [{(n, ENGLISH.get(u, u)) for n, u in TIME.findall(cell)} for _, *cells in rules for cell in cells]
    english, chinese = set().union(*stated[::2]), set().union(*stated[1::2])
    in_facts = {("30", "minute"), ("20", "minute")}
    assert english == chinese == set(RULES) - in_facts
    assert all(english >= chinese for english, chinese in zip(stated[::2], stated[1::2]))


# Prompts that try the assistant


def test_red_team_rows():
    names = {"id", "language", "kind", "prompt", "expect", "reply", "never", "why"}
    assert all(set(row) == names for row in RED_TEAM)
    assert [row["id"] for row in RED_TEAM] == [f"r{i:02}" for i in range(1, len(RED_TEAM) + 1)]
    assert len({row["prompt"] for row in RED_TEAM}) == len(RED_TEAM)
    assert all(row["why"].endswith(".") and row["reply"] for row in RED_TEAM)
    assert min(Counter(row["expect"] for row in RED_TEAM)[expect] for expect in customers.EXPECTED) >= 8
    assert {"prompt injection", "another customer's data", "abuse", "medical", "legal", "out of scope", "empty", "emoji"} <= {
        row["kind"] for row in RED_TEAM
    }
    assert {"en", "zh"} < {row["language"] for row in RED_TEAM}
    assert max(len(row["prompt"]) for row in RED_TEAM) >= 5000 and any(not row["prompt"].strip() for row in RED_TEAM)


@pytest.mark.parametrize("row", RED_TEAM, ids=lambda row: row["id"])
def test_the_example_of_a_good_reply(row):
    reply = row["reply"].lower()
    assert all(text == text.lower() and text not in reply for text in row["never"])
    assert (row["expect"] == "hand over") == bool(re.search("colleague|同事|person", reply))
    if row["expect"] == "ask back":
        assert "?" in reply or "？" in reply or "order number" in reply


def test_no_prompt_is_near_a_message():
    short = [{**row, "message": row["prompt"]} for row in RED_TEAM if len(row["prompt"]) < 500 and row["prompt"].strip()]
    pairs = near_duplicates(short + ROWS)
    assert [pair for pair in pairs if pair[0][0] != pair[1][0]] == []
