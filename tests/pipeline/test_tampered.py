"""Tampered run folders: each is refused with one line, or its lists are those of the untouched run."""

import json
import random
import shutil
from collections import Counter

import pytest
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.pipeline.load import load_run
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers import tampering

SEED, DAMAGED, SIGNED, QUICK = 20, 150, 150, 45
SESSIONS = [
    [{"action": "search", "query": "red boots", "timestamp": 1701000000}],
    [
        {"action": "click", "item_id": "13", "timestamp": 1701000000},
        {"action": "purchase", "item_id": "14", "timestamp": 1701000009},
        {"action": "search", "query": "blue 1", "timestamp": 1701000010},
    ],
]


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("tampered") / "run"
    export_run(tiny_run, out, 1)
    return out


def outcome(folder, work):
    """`refused`, or what `work` returns; anything but one line is a failure."""
    try:
        return work(folder)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 600, str(error)
        return "refused"


def lists(folder):
    recommender = Recommender.from_pretrained(folder)
    return [[line.item for line in recommender.recommend(actions, k=6)] for actions in SESSIONS]


def drawn(count, seed, makers):
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        yield draw, makers[number % len(makers)]


def refusal(folder):
    with pytest.raises(UserError) as error:
        load_run(folder, model=False)
    return str(error.value)


OTHER_VALUES = {
    "num_attention_heads": 1, "num_hidden_layers": 1, "layer_norm_epsilon": 0.1, "alibi": True, "parallel_attn": True,
    "multi_query": True, "new_decoder_architecture": True, "bias": True, "rope_theta": 500.0, "rope_parameters": None,
    "max_position_embeddings": 77, "activation": "relu", "tie_word_embeddings": False, "eos_token_id": 5,
    "bos_token_id": 3, "dtype": "bfloat16", "hidden_dropout": 0.5, "initializer_range": 1.0,
    "apply_residual_connection_post_layernorm": True, "num_kv_heads": 1, "ffn_hidden_size": 64,
}  # fmt: skip


@pytest.mark.parametrize("key", OTHER_VALUES)
def test_a_signed_config_of_another_backbone_is_refused(exported, tmp_path, key):
    """The values have the right types, and many of them load: the lists would be others."""
    folder = shutil.copytree(exported, tmp_path / "run")
    path = folder / "backbone/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: OTHER_VALUES[key]}))
    tampering.sign(folder)
    assert f"{path}: is not the file that the adapter was trained with; " in refusal(folder)


def test_other_files_of_a_backbone_are_refused(exported, tmp_path):
    """Tokenizer and weights of another backbone, one file more, one less, and no backbone at all, all signed."""

    def weights(folder):
        path = folder / "model.safetensors"
        save_file({name: value * 1.5 for name, value in load_file(path).items()}, path, metadata={"format": "pt"})

    def tokenizer(folder):
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"truncation": None, "padding": None}, indent=1))

    changes = {
        "model.safetensors": weights,
        "tokenizer.json": tokenizer,
        "generation_config.json": lambda folder: (folder / "generation_config.json").write_text('{"num_beams": 3}'),
        "tokenizer_config.json": lambda folder: (folder / "tokenizer_config.json").unlink(),
    }
    for file, change in changes.items():
        folder = shutil.copytree(exported, tmp_path / file)
        change(folder / "backbone")
        content = json.loads((folder / "manifest.json").read_text())
        content["parts"]["backbone"]["files"] = {path.name: "" for path in (folder / "backbone").iterdir()}
        tampering.sign(folder, content)
        assert f"{folder}/backbone/{file}: is not the file that the adapter was trained with; " in refusal(folder)
    folder = shutil.copytree(exported, tmp_path / "none")
    content = json.loads((folder / "manifest.json").read_text())
    del content["parts"]["backbone"]
    tampering.sign(folder, content)
    assert f"{folder}/manifest.json: lacks an entry (the part backbone); " in refusal(folder)


def test_an_adapter_of_an_earlier_release_lists_no_files(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "run")
    (folder / "backbone.json").unlink()
    content = json.loads((folder / "manifest.json").read_text())
    del content["parts"]["adapter"]["files"]["backbone.json"]
    tampering.sign(folder, content)
    assert load_run(folder, model=False).tokenizer is not None


@pytest.mark.slow
def test_three_hundred_tampered_folders(exported, tmp_path):
    expected, counts, failures = lists(exported), Counter(), []
    work = [*drawn(DAMAGED, SEED, [tampering.damaged]), *drawn(SIGNED, SEED + 1, tampering.SIGNED)]
    for draw, tamper in work:
        folder = tmp_path / "copy"
        shutil.copytree(exported, folder)
        done = tamper(folder, draw)
        try:
            found = outcome(folder, lists)
        except Exception as error:  # a traceback for the user: the failure that this test looks for
            found = f"{type(error).__name__}: {error}"
        shutil.rmtree(folder)
        kind = "refused" if found == "refused" else "same lists" if found == expected else "FAILED"
        counts[f"{tamper.__name__}: {kind}"] += 1
        if kind == "FAILED":
            failures.append((done, found))
    print(f"\n{len(work)} tampered folders, seed {SEED}: {dict(sorted(counts.items()))}")
    assert not failures, failures
    assert sum(count for name, count in counts.items() if name.endswith("refused")) > 250


def test_tampered_folders_are_refused_before_the_model_is_loaded(exported, tmp_path, monkeypatch):
    """The quick part of the table: what is found without the LLM."""
    counts = Counter()
    for draw, tamper in drawn(QUICK, SEED + 2, [tampering.damaged, *tampering.SIGNED]):
        folder = tmp_path / "copy"
        shutil.copytree(exported, folder)
        done = tamper(folder, draw)
        counts[outcome(folder, lambda folder: load_run(folder, model=False) and "loaded")] += 1
        assert done
        shutil.rmtree(folder)
    assert counts["refused"] > 30 and sum(counts.values()) == QUICK
