import functools
import html
import re

from bigmodel_nb import exercises
from bigmodel_nb.exercises.engine import decorator
from bigmodel_nb.exercises.engine.cards import Card, Part

def words(text):
    return re.sub(r"\s+", "", text)


def texts_of(markup):
    return words(html.unescape(re.sub(r"<[^>]+>", "", markup)))


@functools.cache
def cards():
    return list(_cards())


def _cards():
    for item in exercises.catalogue():
        for work in (item.reference, lambda *a: ..., *(m.wrong for m in item.misconceptions[:3])):
            found = exercises.check(item.id, work)
            for own in (False, True):
                yield decorator.card(item, found, "answer", own)


def test_html_and_text_have_the_same_words():
    for card in cards():
        assert texts_of(card._repr_html_()) == words(repr(card))


def test_html_is_plain_and_stable():
    for card in cards():
        markup = card._repr_html_()
        assert not re.search(r"<script|<style|onclick|https?:|0x[0-9a-f]+| id=|\bNaN\b", markup)
        assert 'role="group"' in markup and 'aria-label="' in markup
        fixed = re.sub(r"var\([^)]*\)\)?", "", markup)
        assert not re.search(r"(?<![-\w])color:\s*#|background:\s*#", fixed), "a colour without Lab's variable"


def test_text_is_data():
    card = Card("<script>a</script>", (Part("<b>x</b>", "<i>", code=True), Part('"&<')))
    markup = card._repr_html_()
    assert "<script>" not in markup and "<b>" not in markup and "<i>" not in markup
    assert texts_of(markup) == words(repr(card))


def test_mimebundle_has_both_forms():
    card = Card("title", (Part("text"),))
    assert set(card._repr_mimebundle_()) == {"text/html", "text/plain"}


def test_failing_card_says_everything():
    item = next(e for e in exercises.catalogue() if e.id == "finetune_gpt2.pack_into_blocks")
    found = exercises.check(item.id, item.misconceptions[0].wrong)
    text = repr(decorator.card(item, found, "pack_into_blocks"))
    assert text.startswith("finetune_gpt2.pack_into_blocks: not yet")
    assert "expected" in text and "y[0, 0]" in text
    assert found.hint in text
    assert text.endswith("pack_into_blocks.mine([[5, 6], [7]], 3, 0)")
    assert "your own is pack_into_blocks.mine" in text


def test_long_input_is_reached_by_name():
    item = next(e for e in exercises.catalogue() if e.id == "finetune_gpt2.causal_lm_loss")
    found = exercises.check(item.id, item.misconceptions[0].wrong)
    assert repr(decorator.card(item, found, "loss")).endswith("loss.mine(*loss.failing)")
