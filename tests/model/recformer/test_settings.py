"""Settings of pre-training and of the two stages from a config."""

from recbole_llmfashion.model.recformer.settings import RecformerSettings, pretrain_settings, stage_settings
from tests.helpers.recformer import config_of


def test_stage_settings(tmp_path):
    own = {"stage1_patience": 7, "stage2_patience": 2, "freeze_words": "pretraining", "warmup_steps": 9}
    config = config_of(tmp_path, recformer_stage1_epochs=4, recformer_stage2_epochs=6, recformer=own)
    first, second = stage_settings(config, 1, 5), stage_settings(config, 2, 6)
    assert (first.epochs, first.patience, first.refresh, first.seed) == (4, 7, True, 5)
    assert (second.epochs, second.patience, second.refresh, second.seed) == (6, 2, False, 6)
    assert (first.warmup_steps, first.freeze_words, second.freeze_words) == (9, False, False)
    assert (first.temperature, first.weight_decay) == (RecformerSettings().temperature, 0.0)


def test_pretrain_settings(tmp_path):
    config = config_of(tmp_path, recformer_pretrain_epochs=3, recformer={"freeze_words": "both", "mask_share": 0.2})
    settings = pretrain_settings(config, 8)
    assert (settings.epochs, settings.freeze_words, settings.mask_share, settings.seed) == (3, True, 0.2, 8)
    assert (settings.batch_size, settings.learning_rate, settings.mlm_weight) == (16, 1e-3, 0.1)
    assert stage_settings(config, 1, 0).freeze_words is True
