"""Pre-training of a backbone: the tiny Falcon that ships with the package, or one that goes on from it."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings
    from recbole_llmfashion.llm.pretraining.real_shops import read_real_shop
    from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
    from recbole_llmfashion.llm.pretraining.shop_examples import ShopExamples
    from recbole_llmfashion.llm.pretraining.simulated_shops import read_shop
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "loop": "BackbonePretrainSettings",
            "settings": "PretrainConfig",
            "real_shops": "read_real_shop",
            "shop_examples": "ShopExamples",
            "simulated_shops": "read_shop",
        },
    )

__all__ = ["BackbonePretrainSettings", "PretrainConfig", "ShopExamples", "read_real_shop", "read_shop"]
