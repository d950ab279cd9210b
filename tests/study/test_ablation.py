"""The ablation study in both forms."""

import pytest

from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study import ablation
from recbole_llmfashion.study.forms import PAPER_FILE, SIZE_KEYS, paper_form, paper_keys, size_note
from recbole_llmfashion.study.runner import Entry, Runner
from tests.helpers.command_lines import study_request
from tests.helpers.fakes import SMALL
from tests.helpers.study import cells, request_for

POPULARITY = {"empty_response_fallback": "popularity"}


def test_rows_of_the_paper_have_its_form():
    entries = ablation.paper_entries(text_tower=True)
    common = {**paper_form(), **POPULARITY}
    assert all(set(common) <= set(entry.keys) for entry in entries)
    changes = [{key: value for key, value in entry.keys.items() if common.get(key) != value} for entry in entries]
    assert changes == [
        {},
        {"prompt_attributes": []},
        {"memory_products": 0},
        {"ranking": "id"},
        {"ranking": "title"},
        {"ranking": "clip"},
        {"memory_products": 0, "ranking": "title"},
        {"memory_products": 0, "ranking": "title", "prompt_attributes": []},
    ]
    assert [entry.label for entry in entries] == list(ablation.PAPER)


def test_the_paper_generates_id_and_title_from_texts():
    form = paper_form()
    assert form["response_title"] == "generated" and form["decoding"] == "sample" and form["ranking"] == "mixup"
    assert form["prompt_template"] == "paper" and form["prompt_item_text"] is True and form["item_tokens"] == "text"
    assert not SIZE_KEYS & set(form) and set(paper_keys()) >= SIZE_KEYS


def test_rows_of_the_default():
    rows = {entry.label: dict(entry.keys) for entry in ablation.shipped_entries(tiny_falcon=True, text_tower=True)}
    assert rows == {
        "LLMFashionRec": POPULARITY,
        "w/o product attributes": POPULARITY | {"prompt_attributes": []},
        "w/o query-product memory": POPULARITY | {"memory_products": 0},
        "w/o loss on history": POPULARITY | {"loss_on_history": False},
        "item_tokens: semantic": POPULARITY | {"item_tokens": "semantic"},
        "item_tokens: text": POPULARITY | {"item_tokens": "text"},
        "w/o pre-training in simulated shops": POPULARITY | {"llm_name_or_path": "tiny-falcon-untrained"},
        "ranking: beams": POPULARITY | {"ranking": "beams"},
        "ranking: mixup": POPULARITY | {"ranking": "mixup"},
        "ranking: id": POPULARITY | {"ranking": "id"},
        "ranking: title": POPULARITY | {"ranking": "title"},
        "ranking: clip": POPULARITY | {"ranking": "clip"},
    }


@pytest.mark.parametrize(("form", "rows"), [("paper", ablation.PAPER_ROWS), ("shipped", ablation.SHIPPED_ROWS)])
def test_every_file_is_a_row(form, rows):
    files = {path.stem for path in (properties_folder() / "ablation" / form).glob("*.yaml")}
    assert files == {row.file for row in rows}


def test_untrained_backbone_only_for_tiny_falcon(shop, run_with):
    run_with({"LLMFashionRec": (1, 1, 1)})
    for words, expected in (((), True), ((f"--llm_name_or_path={SMALL['llm_name_or_path']}",), False)):
        request = request_for(shop, "--form=shipped", *words, study="ablation")
        document = ablation.ablation(request, Runner(request))
        assert ("w/o pre-training in simulated shops" in document.models) is expected
        assert any("comes with the package" in note for note in document.notes) is expected


def test_paper_form_by_hand(shop, run_with):
    ranks = {"title": (2, 2, 2), "clip": (7, 7, 7)}
    generation = {"format_rate": 0.5, "valid_id_rate": 0.25}
    run_with({"LLMFashionRec": lambda config: ranks.get(config["ranking"], (1, 1, 1))}, generation=generation)
    document = ablation.ablation(request := request_for(shop, study="ablation"), Runner(request))
    metrics, shares, responses = document.tables
    here = cells(shares, "here")
    assert here["(4) w/o ID embedding"] == pytest.approx(0.63093, abs=1e-5)  # 1 / log2(3)
    assert here["(5) w/ CLIP text embedding"] == pytest.approx(1 / 3)  # 1 / log2(8)
    assert here["(2) w/o query-product memory"] == 1.0
    assert cells(shares, "paper")["(5) w/ CLIP text embedding"] == pytest.approx(0.1245 / 0.2037)
    difference = cells(shares, "effect")
    assert difference.pop("LLMFashionRec", None) is None
    assert difference["(4) w/o ID embedding"] == pytest.approx(0.63093 - 1, abs=1e-5)
    assert difference["(2) w/o query-product memory"] == 0 and cells(shares, "users")["(3) w/o text embedding"] == 3
    assert list(here) == list(ablation.PAPER) == [row.label for row in metrics.rows]
    assert cells(responses, "id")["LLMFashionRec"].mean == 0.25
    notes = "\n".join(metrics.notes)
    assert "(4) w/o ID embedding: the title list alone ranks" in notes and "not comparable" in notes
    assert "llm_name_or_path tiny-falcon (tiiuae/falcon-7b)" in notes and "llm_epochs 4 (1)" in notes


def test_shipped_form_by_hand(shop, run_with):
    ranks = {"mixup": (3, 3, 3)}
    run_with({"LLMFashionRec": lambda config: ranks.get(config["ranking"], (1, 1, 1))})
    document = ablation.ablation(request := request_for(shop, "--form=shipped", study="ablation"), Runner(request))
    shares = cells(document.tables[1], "here")
    assert cells(document.tables[1], "effect")["ranking: mixup"] == -0.5
    assert shares["ranking: mixup"] == 0.5 and shares["w/o loss on history"] == 1.0
    assert "prompts of this form show no attributes" in "\n".join(document.tables[0].notes)


@pytest.mark.parametrize("form", ["paper", "shipped"])
def test_without_queries_there_is_no_row_by_clip(shop, run_with, form):
    run_with({"LLMFashionRec": (1, 1, 1)})
    (shop / "tiny/tiny.search").unlink()
    request = request_for(shop, f"--form={form}", study="ablation")
    document = ablation.ablation(request, Runner(request))
    assert not any("clip" in label.lower() for label in document.models)
    notes = " ".join(document.tables[0].notes)
    assert "is left out: the log has no queries" in notes and "not comparable" not in notes
    request = request_for(shop, f"--form={form}", "--clip_pretrained=openai", study="ablation")
    assert ablation.has_text_tower(Runner(request))


def test_unknown_form():
    with pytest.raises(UserError, match="--form: expected one of paper, shipped, found 'own'"):
        study_request("ablation", ["--dataset=tiny", "--form=own"])


def test_size_note_names_what_differs_from_the_papers_file(shop):
    request = request_for(shop, study="ablation")
    note = size_note(Runner(request).config(Entry("", "LLMFashionRec", paper_form())))
    assert "llm_name_or_path" in note and "train_batch_size of CORE 1024 (2048)" in note
    paper = properties_folder() / PAPER_FILE
    request = request_for(shop, f"--config_files={paper}", study="ablation")
    assert size_note(Runner(request).config(Entry("", "LLMFashionRec", paper_form()))) == ""
