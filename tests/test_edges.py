"""Unusual datasets: the main job writes a table or reports one line."""

import json
import shutil
import socket

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from recbole_llmfashion.cli.train import main
from tests.helpers.fakes import INTER, ITEM, SEARCH, SMALL, write_tiny


def status_of(root, models="LLMFashionRec,SASRec", **keys):
    options = {**SMALL, "topk": [3], "valid_metric": "NDCG@3", "max_length": 400, "max_new_tokens": 64, **keys}
    argv = [f"--model={models}", "--dataset=tiny", f"--data_path={root}", f"--output={root / 'out'}"]
    return main([*argv, f"--checkpoint_dir={root / 'saved'}", *(f"--{key}={value}" for key, value in options.items())])


def rows(root):
    return json.loads((root / "out/results.json").read_text())["models"]


def test_no_validation_row(tmp_path):
    head = INTER.splitlines()[0]
    lines = [
        f"u{u}\t{i}\t{a}\t{t}"
        for u in (1, 2, 3)
        for i, a, t in ((11, "click", 1), (12, "click", 2), (13, "purchase", 3))
    ]
    write_tiny(tmp_path, inter="\n".join([head, *lines]) + "\n", search="")
    assert status_of(tmp_path) == 0
    for name in ("LLMFashionRec", "SASRec", "Popularity"):
        assert rows(tmp_path)[name]["valid"] == {} and rows(tmp_path)[name]["rows"]["valid"] == 0
    # no rows to choose weights on
    lists = ("beams", "id", "title", "session", "neighbors", "words", "memory")
    equal = dict.fromkeys(lists, 1.0) | {"taken": 0.0}
    assert rows(tmp_path)["LLMFashionRec"]["fusion"] == {"known": equal, "new": equal}


@pytest.mark.slow
def test_tiny_shop_sampled_and_unquantized(tmp_path):
    write_tiny(tmp_path)
    keys = {"decoding": "sample", "response_title": "generated", "quantization": "none"}
    assert status_of(tmp_path, "LLMFashionRec", **keys) == 0
    generation = rows(tmp_path)["LLMFashionRec"]["generation"]
    assert generation["quantized_layers"] == 0
    assert generation["fallback_rate"] >= 1 - generation["valid_id_rate"]  # every fallback is counted


def test_no_network_access(tmp_path, monkeypatch):
    connections = []

    def refuse(*args, **kwargs):
        connections.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    write_tiny(tmp_path)
    assert status_of(tmp_path) == 0
    assert connections == []


def test_no_training_row(tmp_path, capsys):
    head = INTER.splitlines()[0]
    write_tiny(tmp_path, inter=f"{head}\nu1\t11\tpurchase\t1\nu1\t12\tpurchase\t2\n", search="")
    assert status_of(tmp_path) == 2
    assert "no training row" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "text", ["\U0001f462 \u202eshoe", 'say "hi" \\n NA', "x" * 100_000, "<eos> | brand: y ### Response:"]
)
def test_hostile_texts(tmp_path, text):
    write_tiny(tmp_path, item=ITEM.replace("Plain Socks", text), search=SEARCH.replace("red boot\t", f"{text}\t"))
    assert status_of(tmp_path, "LLMFashionRec") == 0
    assert rows(tmp_path)["LLMFashionRec"]["generation"]["valid_id_rate"] == 1.0


def test_catalogue_of_one_item(tmp_path, capsys):
    """The title model, which needs negative titles, reports the error."""
    buys = "".join(f"u{user}\t11\tpurchase\t{time}\n" for user in (1, 2, 3) for time in range(4))
    item = "\n".join([ITEM.splitlines()[0], ITEM.splitlines()[2]]) + "\n"
    write_tiny(tmp_path, INTER.splitlines()[0] + "\n" + buys, "", item)
    assert status_of(tmp_path, "LLMFashionRec", topk=[1], valid_metric="NDCG@1") == 2
    assert "1 titles without negatives; add users or searches" in capsys.readouterr().err


def test_ids_that_are_prefixes_of_others(tmp_path):
    longer = {"11": "1", "12": "11", "13": "111", "14": "1111"}

    def renamed(text, column):
        lines = [line.split("\t") for line in text.splitlines()]
        for line in lines[1:]:
            line[column] = longer.get(line[column], line[column])
        return "\n".join("\t".join(line) for line in lines) + "\n"

    write_tiny(tmp_path, renamed(INTER, 1), "", renamed(ITEM, 0))
    assert status_of(tmp_path, "LLMFashionRec", item_tokens="text") == 0
    generation = rows(tmp_path)["LLMFashionRec"]["generation"]
    assert generation["valid_id_rate"] == generation["format_rate"] == 1.0


def last_line(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_empty_catalogue(tmp_path, capsys):
    write_tiny(tmp_path, item=ITEM.splitlines()[0] + "\n")
    assert status_of(tmp_path, "LLMFashionRec") == 2
    assert "tiny.item" in last_line(capsys)


def test_backbone_without_tokenizer(tmp_path, capsys):
    write_tiny(tmp_path)
    folder = shutil.copytree(SMALL["llm_name_or_path"], tmp_path / "bare")
    (folder / "tokenizer.json").unlink()
    assert status_of(tmp_path, "LLMFashionRec", llm_name_or_path=folder) == 2
    assert "has no tokenizer; put the model's tokenizer.json there" in last_line(capsys)


def test_id_outside_of_the_vocabulary(tmp_path, capsys):
    """A word-level vocabulary without 16; `item_tokens: atomic` would work with it."""
    write_tiny(tmp_path)
    folder = shutil.copytree(SMALL["llm_name_or_path"], tmp_path / "words")
    words = {word: i for i, word in enumerate(["<pad>", "<eos>", "<unk>", ",", "11", "12", "13", "14", "15"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(str(folder))
    assert status_of(tmp_path, "LLMFashionRec", llm_name_or_path=folder, item_tokens="text") == 2
    assert "cannot represent the item ID '16'" in last_line(capsys)
