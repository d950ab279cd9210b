"""Recformer (Li et al., KDD 2023, arXiv 2305.13731), the text-only sequential model that the paper compares with.

    flatten     items, queries and histories -> token ids
    vocabulary  the tokenizer
    encoder     token ids -> vectors, by the Longformer of transformers
    scorer      vectors -> cosines with every item
    pretrain    item-item contrast and masked language modelling
    finetune    the two stages of fine-tuning
    model       the RecBole models
    stages      all of this as stages of the stage store

Written from the Recformer paper. Only `model` depends on RecBole.
"""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.model.recformer.encoder import Encoder, load_encoder
    from recbole_llmfashion.model.recformer.model import Recformer, RecformerQuery
    from recbole_llmfashion.model.recformer.scorer import Scorer
    from recbole_llmfashion.model.recformer.stages import RecformerPipeline
    from recbole_llmfashion.model.recformer.vocabulary import Vocabulary
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "encoder": "Encoder load_encoder",
            "model": "Recformer RecformerQuery",
            "scorer": "Scorer",
            "stages": "RecformerPipeline",
            "vocabulary": "Vocabulary",
        },
    )

__all__ = ["Encoder", "Recformer", "RecformerPipeline", "RecformerQuery", "Scorer", "Vocabulary", "load_encoder"]
