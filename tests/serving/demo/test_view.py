"""What a page shows of an answer, and that no text of the data becomes markup."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.serving.demo import markup, view
from recbole_llmfashion.serving.demo.visit import Action, Visit
from tests.helpers.demo import PROMPT, FakeDesk, looked

GOOD = " product ID: 14, title: White Sandals"


def ids(listed):
    return {one.name: [product.item for product in one.products] for one in listed}


def found(look):
    return {check.name: (check.found, check.good) for check in view.checks(look.reply)}


def test_five_lists_of_one_answer():
    listed = view.lists(looked(FakeDesk(), GOOD, beams=(4, 1)))
    assert ids(listed) == {
        # item 14 first, then the title list (13, 12, 10, 11, ..) from its second place, then its head
        "final": ["14", "12", "10", "11", "15", "13"],
        "beams": ["14", "11"],
        "id": ["14", "15"],  # as deep as the ID list means something
        "title": ["13", "12", "10", "11", "14", "15"],
        "mixup": ["14", "12", "10", "11", "15", "13"],
    }
    assert [product.given for product in listed[0].products] == ["id"] + ["title"] * 5
    assert {product.given for one in listed[1:] for product in one.products} == {""}


def test_the_final_ranking_is_the_runs_own_and_the_mixup_stays_the_papers():
    listed = view.lists(looked(FakeDesk(ranking="beams"), GOOD, beams=(1, 5)))
    assert ids(listed)["final"] == ["11", "15", "13", "12", "10", "14"]
    assert [product.given for product in listed[0].products][:3] == ["beams", "beams", "title"]
    assert ids(listed)["mixup"] == ["14", "12", "10", "11", "15", "13"]


def test_what_the_customer_took_is_left_out_of_the_final_ranking_alone():
    listed = view.lists(looked(FakeDesk(mask_history=True), GOOD, items=(4, 2)))
    assert ids(listed)["final"] == ["10", "11", "15", "13"] and "without what" in listed[0].note
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
                "Fallback": ("the memory, then what is popular", False),
            },
            {"beams", "id", "title", "mixup"},
        ),
        (
            "boots!",
            (),
            {"Well formed": ("no", False), "ID known": ("no", False), "Fallback": ("what is popular", False)},
            {"beams", "id", "title", "mixup"},
        ),
    ],
)
def test_checks_and_empty_lists_say_what_is_missing(text, recalled, checks, empty):
    look = looked(FakeDesk(), text, recalled=recalled)
    shown = found(look)
    assert {name: shown[name] for name in checks} == checks
    assert ("ID in the prompt" in shown) == checks["ID known"][1]
    assert {one.name for one in view.lists(look) if not one.products} == empty
    assert len(ids(view.lists(look))["final"]) == 6


def test_whether_the_generated_id_stands_in_the_prompt():
    assert found(looked(FakeDesk(), GOOD))["ID in the prompt"] == ("no", True)
    assert found(looked(FakeDesk(), " product ID: 13, title: x"))["ID in the prompt"] == ("yes", True)


def test_the_memorys_lines_are_cut_out_of_the_prompt():
    done = view.answered(looked(FakeDesk(), GOOD))
    assert (done.prompt.before, done.prompt.memory, done.prompt.after) == ("buy what", "\ntop\n- 12\n- 13", "\nnow")
    assert [product.item for product in done.prompt.products] == ["12", "13"] and done.prompt.tokens == 6
    assert "<mark" in markup.prompt(done) and done.prompt.products[0].about == "Vela"


def test_a_visit_without_an_action_is_not_asked_about():
    done = view.answered(looked(FakeDesk(), "", prompt=None))
    assert done.prompt is None and done.checks == [] and [one.name for one in done.lists] == ["final"]
    assert [product.given for product in done.lists[0].products] == ["popularity"] * 6
    assert "Not asked" in markup.answer("", done, 0)


class Reader(HTMLParser):
    """The texts within bdi, the tags, the attributes."""

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
def test_no_text_of_the_data_becomes_markup(text):
    state = FakeDesk(titles=(text,) * 6)
    plain = FakeDesk(titles=("t",) * 6)
    visits = Visit((Action("click", 1.0, 2), Action("search", 2.0, query=text)))

    def parts(state, said, text):
        done = view.answered(looked(state, said))
        return [
            markup.timeline(view.timeline(visits, state), False),
            markup.results(text),
            markup.answer(text, None, 2),
            markup.answer(done.response, done, 2),
            markup.prompt(done),
            markup.lists(done, 2),
        ]

    for hostile, known in zip(parts(state, GOOD + text, text), parts(plain, GOOD, "t"), strict=True):
        read, wanted = Reader(), Reader()
        read.feed(hostile)
        wanted.feed(known)
        assert read.attributes == wanted.attributes
        assert [tag for tag in read.tags if tag != "mark"] == [tag for tag in wanted.tags if tag != "mark"]
        assert not set("{}$`@") & set(hostile)
        # as often as the harmless text stood there, this one does
        assert sum(text.strip() in said for said in read.texts) >= sum(said == "t" for said in wanted.texts)


def test_every_list_has_a_color_of_its_own():
    colors = dict(re.findall(r"\.lf-list-(\w+) \{ --list: ([^;]+);", markup.style()))
    assert set(colors) == set(markup.LISTS) and len(set(colors.values())) == len(colors)


def test_the_prompt_of_the_fakes_is_what_it_says():
    assert PROMPT.acted == 1 and PROMPT.memory == (2, 5)
