"""The content of the page for a response, and escaping of all texts."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.serving.demo import markup, view
from recbole_llmfashion.serving.demo.visit import Action, Visit
from tests.helpers.demo import PROMPT, FakeState, explained

GOOD = " product ID: 14, title: White Sandals"


def ids(lists):
    return {each.name: [product.item for product in each.products] for each in lists}


def results(explanation):
    return {check.name: (check.result, check.good) for check in view.checks(explanation.reply)}


def test_five_lists():
    listed = view.lists(explained(FakeState(), GOOD, beams=(4, 1)))
    assert ids(listed) == {
        # item 14 first, then the title list (13, 12, 10, 11, ..) from its second place, then its head
        "final": ["14", "12", "10", "11", "15", "13"],
        "beams": ["14", "11"],
        "id": ["14", "15"],  # the meaningful depth of the ID list
        "title": ["13", "12", "10", "11", "14", "15"],
        "mixup": ["14", "12", "10", "11", "15", "13"],
    }
    assert [product.source for product in listed[0].products] == ["id"] + ["title"] * 5
    assert {product.source for each in listed[1:] for product in each.products} == {""}


def test_ranking_setting_affects_the_final_ranking_only():
    listed = view.lists(explained(FakeState(ranking="beams"), GOOD, beams=(1, 5)))
    assert ids(listed)["final"] == ["11", "15", "13", "12", "10", "14"]
    assert [product.source for product in listed[0].products][:3] == ["beams", "beams", "title"]
    assert ids(listed)["mixup"] == ["14", "12", "10", "11", "15", "13"]


def test_mask_history():
    listed = view.lists(explained(FakeState(mask_history=True), GOOD, items=(4, 2)))
    assert ids(listed)["final"] == ["10", "11", "15", "13"] and "without items of the session" in listed[0].note
    assert ids(listed)["mixup"][0] == "14"


@pytest.mark.parametrize(
    ("text", "recalled", "checks", "empty"),
    [
        (GOOD, (), {"Well formed": ("yes", True), "ID known": ("yes", True), "Fallback": ("none", True)}, {"beams"}),
        (
            " product ID: 99, title: White Sandals",
            (),
            {"Well formed": ("yes", True), "ID known": ("no", False), "Fallback": ("no ID list", False)},
            {"beams", "id"},
        ),
        (
            " product ID: 14, title:",
            (),
            {"Well formed": ("no", False), "ID known": ("yes", True), "Fallback": ("no title list", False)},
            {"beams", "title"},
        ),
        (
            "boots!",
            (2,),
            {
                "Well formed": ("no", False),
                "ID known": ("no", False),
                "Fallback": ("memory, then popular products", False),
            },
            {"beams", "id", "title", "mixup"},
        ),
        (
            "boots!",
            (),
            {"Well formed": ("no", False), "ID known": ("no", False), "Fallback": ("popular products", False)},
            {"beams", "id", "title", "mixup"},
        ),
    ],
)
def test_checks_and_empty_lists(text, recalled, checks, empty):
    explanation = explained(FakeState(), text, recalled=recalled)
    shown = results(explanation)
    assert {name: shown[name] for name in checks} == checks
    assert ("ID in the prompt" in shown) == checks["ID known"][1]
    assert {each.name for each in view.lists(explanation) if not each.products} == empty
    assert len(ids(view.lists(explanation))["final"]) == 6


def test_id_in_the_prompt():
    assert results(explained(FakeState(), GOOD))["ID in the prompt"] == ("no", True)
    assert results(explained(FakeState(), " product ID: 13, title: x"))["ID in the prompt"] == ("yes", True)


def test_lines_of_the_memory():
    done = view.response_view(explained(FakeState(), GOOD))
    assert (done.prompt.before, done.prompt.memory, done.prompt.after) == ("buy what", "\ntop\n- 12\n- 13", "\nnow")
    assert [product.item for product in done.prompt.products] == ["12", "13"] and done.prompt.tokens == 6
    assert "<mark" in markup.prompt(done) and done.prompt.products[0].about == "Vela"


def test_visit_without_actions():
    done = view.response_view(explained(FakeState(), "", prompt=None))
    assert done.prompt is None and done.checks == [] and [each.name for each in done.lists] == ["final"]
    assert [product.source for product in done.lists[0].products] == ["popularity"] * 6
    assert "No prompt" in markup.answer("", done, 0)


class Reader(HTMLParser):
    """Records the tags, the attributes, and the texts within bdi elements."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.attributes, self._open = [], [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "bdi":
            self.texts.append("")
            self._open = True

    def handle_endtag(self, tag):
        self._open = self._open and tag != "bdi"

    def handle_data(self, data):
        if self._open:
            self.texts[-1] += data


HOSTILE = st.one_of(
    st.sampled_from(
        [
            '<img src=x onerror="window.pwned=1">',
            "</bdi></li><script>window.pwned=1</script>",
            "${window.pwned=1}{{constructor}}@children`",
            "&lt;b&gt;&amp;",
            "' onclick='window.pwned=1",
            "\u202eevil",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
)


@settings(max_examples=30)
@given(HOSTILE)
def test_texts_are_escaped(text):
    state = FakeState(titles=(text,) * 6)
    plain = FakeState(titles=("t",) * 6)
    visits = Visit((Action("click", 1.0, 2), Action("search", 2.0, query=text)))

    def parts(state, response, text):
        done = view.response_view(explained(state, response))
        return [
            markup.timeline(view.timeline(visits, state), False),
            markup.results(text),
            markup.answer(text, None, 2),
            markup.answer(done.response, done, 2),
            markup.prompt(done),
            markup.lists(done, 2),
        ]

    for hostile, harmless in zip(parts(state, GOOD + text, text), parts(plain, GOOD, "t"), strict=True):
        read, expected = Reader(), Reader()
        read.feed(hostile)
        expected.feed(harmless)
        assert read.attributes == expected.attributes
        assert [tag for tag in read.tags if tag != "mark"] == [tag for tag in expected.tags if tag != "mark"]
        assert not set("{}$`@") & set(hostile)
        # the text occurs as often as the harmless one
        assert sum(text.strip() in shown for shown in read.texts) >= sum(shown == "t" for shown in expected.texts)


def test_a_long_attribute_of_a_product():
    state = FakeState()
    brands = ("Norda", "soft wool " * 20_000, *[""] * 4)
    state.pool.catalogue = replace(state.pool.catalogue, attributes={"brand": brands})
    assert [view.product(state, position).about for position in (0, 1, 2)] == ["Norda", ("soft wool " * 20).strip(), ""]


def test_distinct_colors():
    colors = dict(re.findall(r"\.lf-list-(\w+) \{ --list: ([^;]+);", markup.style()))
    assert set(colors) == set(markup.LISTS) and len(set(colors.values())) == len(colors)


def test_prompt_of_the_helpers():
    assert PROMPT.acted == 1 and PROMPT.memory == (2, 5)
