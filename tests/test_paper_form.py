"""The paper's file from end to end at toy size: a tiny Falcon in place of Falcon-7B, and prompts worked out by hand."""

import json

import pytest

from recbole_llmfashion.cli.train import main
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.pipeline.language_model import LanguageModel
from tests.helpers.fakes import BACKBONE_LAYERS, SMALL, write_tiny

ITEM = """item_id:token\ttitle:token\tbrand:token\tcolor:token\tsize:token\tcategory:token
11\tNorda Red Winter Boots\tNorda\tred\t8\tboots
12\tNorda Blue Winter Boots\tNorda\tblue\t8\tboots
13\tVela Black Sandals\tVela\tblack\t7\tsandals
14\tVela White Sandals\tVela\twhite\t7\tsandals
15\tLumo Wool Socks\tLumo\tgrey\tM\tsocks
16\tGilt Evening Clutch\tLumo\tgold\tS\tbags
"""
# Ada has two searches, three clicks and two purchases before the test row, Bea no purchase to train on, Cam no search.
INTER = """user_id:token\titem_id:token\taction:token\ttimestamp:float
ada\t13\tclick\t1699000060
ada\t14\tpurchase\t1699000120
ada\t16\tclick\t1701424800
ada\t15\tpurchase\t1701428400
ada\t11\tclick\t1703066460
ada\t16\tclick\t1703066520
ada\t12\tpurchase\t1703152800
bea\t14\tclick\t1699100060
bea\t13\tclick\t1699100120
bea\t11\tpurchase\t1699100180
bea\t16\tpurchase\t1699100240
cam\t15\tpurchase\t1698800000
cam\t13\tpurchase\t1698800060
cam\t16\tpurchase\t1698800120
cam\t11\tpurchase\t1698800180
"""
SEARCH = """user_id:token\ttimestamp:float\tquery:token\tresults:token_seq
ada\t1699000000\tblack sandals\t13 14
ada\t1703066400\tRed  Boots\t
bea\t1699100000\tred boots\t11 12
"""
TASK = (
    "### Instruction: You recommend products in a fashion shop. From the customer's actions below, in order of time, "
    "predict the product that will be purchased next. "
    "Keep to the order of the actions: later ones say more about what comes next. "
    "Compare the products that the customer looked at: an attribute that varies among them shows what is being chosen. "
    "Weigh what matters in fashion: season, occasion, holiday, color and size. "
)
MEMORY = "Prefer the top products of the last search. "
FORMAT = "Answer in one line, in exactly this form: product ID: the ID, title: the title\n### Input:"
# 2023-11-03, 2023-12-01, 2023-12-20 and 21; the query "red boots" is in the memory, "black sandals" is its neighbor
TEST_PROMPT = (
    TASK
    + MEMORY
    + FORMAT
    + """
searched for: black sandals | Nov
clicked product ID: 13 | title: Vela Black Sandals | category: sandals | brand: Vela | color: black | size: 7
purchased product ID: 14 | title: Vela White Sandals | category: sandals | brand: Vela | color: white | size: 7
clicked product ID: 16 | title: Gilt Evening Clutch | category: bags | brand: Lumo | color: gold | size: S | Dec
purchased product ID: 15 | title: Lumo Wool Socks | category: socks | brand: Lumo | color: grey | size: M
searched for: Red Boots | Dec, near Christmas
clicked product ID: 11 | title: Norda Red Winter Boots | category: boots | brand: Norda | color: red | size: 8
clicked product ID: 16 | title: Gilt Evening Clutch | category: bags | brand: Lumo | color: gold | size: S
top products of the last search:
- product ID: 11 | title: Norda Red Winter Boots
- product ID: 13 | title: Vela Black Sandals
- product ID: 12 | title: Norda Blue Winter Boots
- product ID: 14 | title: Vela White Sandals
date of the recommendation: Dec, near Christmas
### Response:"""
)
# the memory leaves out this prompt's own search; its only other query is "red boots"
ADA_TRAINS = (
    TASK
    + MEMORY
    + FORMAT
    + """
searched for: black sandals | Nov
clicked product ID: 13 | title: Vela Black Sandals | category: sandals | brand: Vela | color: black | size: 7
top products of the last search:
- product ID: 11 | title: Norda Red Winter Boots
- product ID: 12 | title: Norda Blue Winter Boots
date of the recommendation: Nov
### Response: product ID: 14, title: Vela White Sandals"""
)
# without a search the instruction does not mention the memory's products
CAM_TRAINS = (
    TASK
    + FORMAT
    + """
purchased product ID: 15 | title: Lumo Wool Socks | category: socks | brand: Lumo | color: grey | size: M | Nov
date of the recommendation: Nov
### Response: product ID: 13, title: Vela Black Sandals"""
)


@pytest.fixture
def seen(monkeypatch):
    """The texts that the LLM is trained on and the prompts that it answers; nothing is replaced."""
    texts: dict[str, list[str]] = {"trained": [], "answered": []}
    prepare, generate = LanguageModel.prepare, LanguageModel.generate

    def preparing(self, examples, *rest):
        texts["trained"] += [self.tokenizer.decode([*example.prompt, *example.response[:-1]]) for example in examples]
        return prepare(self, examples, *rest)

    def generating(self, prompts, *rest):
        texts["answered"] += [self.tokenizer.decode(prompt) for prompt in prompts]
        return generate(self, prompts, *rest)

    monkeypatch.setattr(LanguageModel, "prepare", preparing)
    monkeypatch.setattr(LanguageModel, "generate", generating)
    return texts


def test_the_papers_file_from_end_to_end(tmp_path, seen):
    write_tiny(tmp_path, INTER, SEARCH, ITEM)
    keys = {name: SMALL[name] for name in ("llm_name_or_path", "epochs", "title_model.epochs", "clip.epochs")}
    keys |= {"clip_pretrained": "~", "topk": "[3]", "valid_metric": "NDCG@3", "show_progress": False}
    words = [f"--{key}={value}" for key, value in keys.items()]
    places = [f"--data_path={tmp_path}", f"--checkpoint_dir={tmp_path / 'saved'}", f"--output={tmp_path / 'out'}"]
    paper = f"--config_files={properties_folder() / 'model/LLMFashionRec-paper.yaml'}"
    assert main(["--model=LLMFashionRec", "--dataset=tiny", paper, *places, *words]) == 0
    assert sorted(seen["trained"]) == sorted([ADA_TRAINS, CAM_TRAINS])
    assert TEST_PROMPT in seen["answered"]
    row = json.loads((tmp_path / "out/results.json").read_text())["models"]["LLMFashionRec"]
    assert row["status"] == "ok" and row["rows"]["test"] == 3
    generation = row["generation"]
    assert generation["quantized_layers"] == 4 * BACKBONE_LAYERS
    assert generation["prompts_truncated"] == 0
    assert generation["purchase_response_share"] == 1.0 and generation["users_without_prompt"] == 1
