"""What the models read from a row, and the validation of their keys."""

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.dict_keys import with_defaults
from recbole_llmfashion.config.keys import own_keys, properties_folder
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.flatten import flatten
from recbole_llmfashion.model.recformer.model import Recformer, RecformerQuery
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.model.recformer.settings import recformer_settings, stage_settings
from recbole_llmfashion.trainer.recformer import RecformerTrainer
from tests.helpers.fakes import ITEM, write_tiny
from tests.helpers.recformer import Words, config_of, shape, tiny_encoder


def reader(root, model, **keys):
    write_tiny(root)
    config = config_of(root, model, topk=[3], **keys)
    loaders = make_loaders(config)
    return model(config, loaders.train._dataset), loaders


def of_user(loaders, part, token):
    """The row of a user in the loader of a split."""
    [user] = np.flatnonzero(loaders.dataset.field2id_token["user_id"] == token)
    feat = getattr(loaders, part)._dataset.inter_feat
    return feat[feat["user_id"] == int(user)]


def test_histories(tmp_path):
    # catalogue positions  0: 16  1: 11  2: 12  3: 13  4: 14  5: 15
    model, loaders = reader(tmp_path, Recformer)
    assert [h.tolist() for h in model.histories(of_user(loaders, "test", "u1"))] == [[5, 4, 3, 2, 1]]
    assert [h.tolist() for h in model.histories(of_user(loaders, "test", "u2"))] == [[2]]
    assert [h.tolist() for h in model.histories(of_user(loaders, "train", "u1"))] == [[1], [2, 1]]


def test_searches_before_the_row_are_entries(tmp_path):
    model, loaders = reader(tmp_path, RecformerQuery)
    texts = model.query_texts(())["query"]
    assert texts[:3] == ["red boots", "Black Sandals", "red boot"]
    # 6 + 2 is "red boot", a second before the purchase; "last minute" is at its very second
    assert [h.tolist() for h in model.histories(of_user(loaders, "test", "u1"))] == [[8, 5, 4, 7, 3, 2, 1, 6]]
    assert [h.tolist() for h in model.histories(of_user(loaders, "train", "u1"))] == [[1, 6], [2, 1, 6]]
    assert Recformer.query_texts(reader(tmp_path, Recformer)[0], ()) == {"query": []}


def test_queries_push_no_item_out(tmp_path):
    rows = {}
    for model_class in (Recformer, RecformerQuery):
        model, loaders = reader(tmp_path, model_class, recformer_max_items=3)
        [rows[model_class]] = [h.tolist() for h in model.histories(of_user(loaders, "test", "u1"))]
    assert rows == {Recformer: [5, 4, 3], RecformerQuery: [8, 5, 4, 7, 3]}
    # an entry has a token, so no more of them are read than tokens
    model, loaders = reader(tmp_path, RecformerQuery, recformer_max_items=3, recformer_max_tokens=4)
    assert [h.tolist() for h in model.histories(of_user(loaders, "test", "u1"))] == [[8, 5, 4, 7]]


def with_scorer(model):
    words = Words()
    rows = flatten(model.item_texts(()), words, 8) + flatten(model.query_texts(()), words, 8)
    model.scorer = Scorer(tiny_encoder(int(rows.ids.max()) + 1), rows, 6, shape(), 256)
    model.scorer.refresh()
    return model


@pytest.mark.parametrize("model_class", [Recformer, RecformerQuery])
def test_target_is_not_read(tmp_path, model_class):
    model, loaders = reader(tmp_path, model_class)
    with_scorer(model)
    feat = loaders.test._dataset.inter_feat
    known = {name: feat[name] for name in ("user_id", "history_length")}
    others = [name for name in feat.columns if name not in known]
    scrambled = Interaction(known | {name: torch.randint(1, 6, feat[name].shape) for name in others})
    scores = model.full_sort_predict(feat)
    assert torch.equal(scores, model.full_sort_predict(scrambled))
    assert torch.equal(scores, model.full_sort_predict(Interaction(known)))
    assert scores.shape == (3, 7) and scores.isfinite().all() and not scores.requires_grad
    assert (scores[:, 0] < -1).all() and (scores[:, 1:].abs() <= 1 + 1e-5).all()
    assert model.predict(feat).tolist() == scores.gather(1, feat["item_id"][:, None]).squeeze(1).tolist()


def test_item_texts(tmp_path):
    item = ITEM.replace("Plain Socks", "a <mask> | b")
    item = item.replace("Vela White Sandals\tVela\twhite\t7", "<mask>\t\t\t")
    write_tiny(tmp_path, item=item)
    config = config_of(tmp_path, topk=[3])
    model = Recformer(config, make_loaders(config).train._dataset)
    texts = model.item_texts(("<mask>",))
    assert list(texts) == ["title", "category", "brand", "color", "size"]
    assert texts["title"][5] == "a < mask> / b" and texts["title"][4] == "< mask>" and texts["brand"][5] == ""
    config = config_of(tmp_path, topk=[3], recformer_attributes=["color", "size"])
    model = Recformer(config, make_loaders(config).train._dataset)
    assert model.item_texts(())["color"] == ["gold", "red", "blue", "black", "untitled", "untitled"]


def test_further_attributes(tmp_path):
    header, *rows = ITEM.splitlines()
    cells = ["", "fake leather", "", "", "", "\ufeff"]
    item = "\n".join(
        [f"{header}\tfabric:token\tv:float_seq", *(f"{r}\t{c}\t" for r, c in zip(rows, cells, strict=True))]
    )
    write_tiny(tmp_path, item=item + "\n")
    keys = {"topk": [3], "recformer_attributes": ["title", "fabric", "color"]}
    config = config_of(tmp_path, **keys)
    RecformerTrainer.validate_config(config)
    texts = Recformer(config, make_loaders(config).train._dataset).item_texts(())
    assert list(texts) == ["title", "fabric", "color"] and texts["fabric"][:2] == ["", "fake leather"]
    message = (
        r"^recformer_attributes: .* tiny.item, that is brand, color, size, category, fabric, found '(v:float_seq|fit)'$"
    )
    for wrong in ("v", "fit"):
        config = config_of(tmp_path, **keys | {"recformer_attributes": ["title", wrong]})
        for refuse in (RecformerTrainer.validate_config, make_loaders):
            with pytest.raises(UserError, match=message):
                refuse(config)


@pytest.mark.parametrize("model", [Recformer, RecformerQuery])
def test_the_papers_file(model):
    """Sizes of longformer-base-4096 as Recformer changes them, and the numbers of its fine-tuning."""
    config = load_config(model, "x", [str(properties_folder() / "model/Recformer-paper.yaml")])
    assert config["recformer_name_or_path"] == "allenai/longformer-base-4096"
    assert (config["recformer_max_items"], config["recformer_max_tokens"]) == (50, 1024)
    assert config["recformer_attributes"] == ["title", "brand", "category"]
    first, second = stage_settings(config, 1, 0), stage_settings(config, 2, 0)
    for stage, patience in ((first, 5), (second, 3)):
        assert (stage.epochs, stage.patience, stage.eval_every) == (128, patience, 3)
        assert (stage.batch_size, stage.learning_rate, stage.weight_decay, stage.temperature) == (16, 5e-5, 0.0, 0.05)
    own = recformer_settings(config)
    assert (own.width, own.layers, own.heads, own.attention_window, own.attribute_tokens) == (768, 12, 12, 64, 32)
    assert (own.pretrain_batch_size, own.pretrain_learning_rate, own.mlm_weight) == (64, 5e-5, 0.1)


def test_keys_of_both_models():
    ours = read_yaml(properties_folder() / "model/Recformer.yaml")
    for model in (Recformer, RecformerQuery):
        config = load_config(model, "x")
        assert ours and {key: config[key] for key in ours} == with_defaults(ours) and set(ours) <= own_keys(model)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"recformer_attributes": ["title", "price"]}, "recformer_attributes"),
        ({"recformer_attributes": []}, "recformer_attributes"),
        ({"recformer_attributes": ["title", "title"]}, "recformer_attributes"),
        ({"recformer": {"attention_window": 7}}, "recformer.attention_window: expected an even number"),
        ({"recformer.type_init": "x"}, "recformer.type_init: expected one of broadcast, normal"),
        ({"recformer": {"freeze_words": "x"}}, "recformer.freeze_words"),
        ({"recformer_pretrain_epochs": -1}, "recformer_pretrain_epochs"),
        ({"recformer_batch_size": 0}, "recformer_batch_size"),
        ({"recformer_name_or_path": "/no/such/folder"}, "recformer_name_or_path"),
        ({"source_dataset": "nowhere"}, "source_dataset.*nowhere is not there"),
        ({"source_dataset": "tiny"}, "source_dataset.*itself"),
    ],
)
def test_invalid_values(tmp_path, keys, message):
    write_tiny(tmp_path)
    with pytest.raises(UserError, match=message):
        RecformerTrainer.validate_config(config_of(tmp_path, **keys))
