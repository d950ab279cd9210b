"""The ablation study."""

import pytest

from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.study import ablation
from recbole_llmfashion.study.runner import Runner
from tests.helpers.fakes import SMALL
from tests.helpers.study import cells, request_for


def test_variants():
    keys = [dict(entry.keys) for entry in ablation.entries()]
    assert keys == [
        {"ranking": "mixup"},
        {"prompt_attributes": [], "ranking": "mixup"},
        {"memory_products": 0, "ranking": "mixup"},
        {"ranking": "id"},
        {"ranking": "title"},
        {"ranking": "clip"},
        {"memory_products": 0, "ranking": "title"},
        {"memory_products": 0, "ranking": "title", "prompt_attributes": []},
    ]
    ours = {entry.label: dict(entry.keys) for entry in ablation.choices(embedded=True)}
    assert ours == {
        "LLMFashionRec, ranking: beams": {"ranking": "beams"},
        "ranking: fusion (default)": {"ranking": "fusion"},
        "item_tokens: semantic": {"item_tokens": "semantic", "ranking": "fusion"},
        "item_tokens: text": {"item_tokens": "text", "ranking": "fusion"},
        "backbone without simulator pre-training": {
            "llm_name_or_path": "tiny-falcon-untrained", "ranking": "fusion",
        },
    }  # fmt: skip
    assert len(list((properties_folder() / "ablation").glob("*.yaml"))) == len(keys) + len(ours)


def test_untrained_backbone_only_for_tiny_falcon(shop, run_with):
    run_with({"LLMFashionRec": (1, 1, 1)})
    for words, expected in (((), True), ((f"--llm_name_or_path={SMALL['llm_name_or_path']}",), False)):
        request = request_for(shop, *words)
        document = ablation.ablation(request, Runner(request))
        assert ("backbone without simulator pre-training" in document.models) is expected
        assert any("comes with the package" in note for note in document.notes) is expected


def test_ablation_by_hand(shop, run_with):
    def ranks(config):
        ranks = {
            "title": (2, 2, 2),
            "beams": (3, 3, 3),
            "fusion": (7, 7, 7) if config["item_tokens"] == "text" else None,
        }
        return ranks.get(config["ranking"]) or (1, 1, 1)

    run_with({"LLMFashionRec": ranks})
    document = ablation.ablation(request := request_for(shop), Runner(request))
    shares = cells(document.tables[1], "here")
    assert shares["(4) w/o ID embedding"] == pytest.approx(0.63093, abs=1e-5)  # 1 / log2(3)
    assert shares["(2) w/o query-product memory"] == 1.0
    assert cells(document.tables[1], "paper")["(5) w/ CLIP text embedding"] == pytest.approx(0.1245 / 0.2037)
    assert "not comparable" in document.tables[0].notes[1] and "mixup" in document.tables[0].notes[0]
    assert list(shares) == list(ablation.PAPER)
    assert cells(document.tables[2], "here") == {
        "LLMFashionRec": 1.0, "LLMFashionRec, ranking: beams": 0.5, "ranking: fusion (default)": 1.0,
        "item_tokens: semantic": 1.0, "item_tokens: text": pytest.approx(1 / 3),
        "backbone without simulator pre-training": 1.0,
    }  # fmt: skip
