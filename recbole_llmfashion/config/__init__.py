"""Keys of properties/, YAML files and the command line as one config."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.config.command_line import Arguments, read_keys
    from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config, source_config
    from recbole_llmfashion.config.layers import merge_layers
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "command_line": "Arguments read_keys",
            "configurator": "LLMFashionConfig load_config source_config",
            "layers": "merge_layers",
        },
    )

__all__ = ["Arguments", "LLMFashionConfig", "load_config", "merge_layers", "read_keys", "source_config"]
