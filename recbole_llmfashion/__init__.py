"""Sequential LLM framework for fashion recommendation (arXiv 2410.11327) as a RecBole extension."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__` (PEP 562) that imports the module of a public name when the name is first used.

    Args:
        package: the package's `__name__`.
        modules: the public names of each module, separated by spaces, by the module's name within the package.

    >>> lazy_names("recbole_llmfashion", {"errors": "UserError"})("UserError").__name__
    'UserError'
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def resolve(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return resolve


if TYPE_CHECKING:
    from recbole_llmfashion.errors import UserError
    from recbole_llmfashion.quick_start.experiment import run_experiment
    from recbole_llmfashion.quick_start.registry import load_config
    from recbole_llmfashion.serving.recommender import Recommender
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "errors": "UserError",
            "quick_start.experiment": "run_experiment",
            "quick_start.registry": "load_config",
            "serving.recommender": "Recommender",
        },
    )

__all__ = ["Recommender", "UserError", "__version__", "lazy_names", "load_config", "run_experiment"]
