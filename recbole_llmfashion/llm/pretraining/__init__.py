"""Pre-training of the tiny Falcon that ships with the package."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings
    from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
    from recbole_llmfashion.llm.pretraining.simulated_shops import SimulatedShop, read_shop
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "loop": "BackbonePretrainSettings",
            "settings": "PretrainConfig",
            "simulated_shops": "SimulatedShop read_shop",
        },
    )

__all__ = ["BackbonePretrainSettings", "PretrainConfig", "SimulatedShop", "read_shop"]
