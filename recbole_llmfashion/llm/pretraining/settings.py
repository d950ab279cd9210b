"""The settings of `recbole-llmfashion pretrain-backbone`."""

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_llmfashion.config.allowed import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    DECAY,
    EMPTY,
    NOT_NEGATIVE,
    RATE,
    SEED,
    TEXT,
    Allowed,
    either,
    list_of,
    shown,
)
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError

if TYPE_CHECKING:
    from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings

_COUNTS = ("users_per_shop", "vocab_size", "width", "layers", "heads", "batch_size")
VALUES: dict[str, Allowed] = {
    **dict.fromkeys(("output", "shops", "query_texts"), TEXT),
    "backbone": either(TEXT, EMPTY),
    "real_datasets": list_of(TEXT, "folders"),
    "real_passes": ABOVE_ZERO,
    "categories": list_of(TEXT, "names"),
    "shops_per_category": AT_LEAST_ZERO,
    **dict.fromkeys(_COUNTS, AT_LEAST_ONE),
    **dict.fromkeys(("first_seed", "seed"), SEED),
    "copy_steps": AT_LEAST_ZERO,
    **dict.fromkeys(("listed_passes", "spelled_passes"), NOT_NEGATIVE),
    "learning_rate": RATE,
    "max_minutes": either(ABOVE_ZERO, EMPTY),
    "weight_decay": DECAY,
}


@dataclass(frozen=True)
class PretrainConfig:
    """The keys of properties/pretrain.yaml; those without a default here are required."""

    output: str
    shops: str
    categories: list[str]
    shops_per_category: int
    users_per_shop: int
    first_seed: int
    query_texts: str
    vocab_size: int
    width: int
    layers: int
    heads: int
    copy_steps: int
    listed_passes: float
    spelled_passes: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    backbone: str | None = None
    real_datasets: list[str] = field(default_factory=list)
    real_passes: float = 1.0
    max_minutes: float | None = None

    @classmethod
    def read(cls, file: Path) -> "PretrainConfig":
        """Reads a YAML file.

        Raises:
            UserError: the file is missing or is not YAML, a key is missing or unknown, or cannot have its value.
        """
        if not file.is_file():
            raise UserError(f"--config: {file} does not exist; the package has properties/pretrain.yaml")
        values = read_yaml(file)
        names = {one.name for one in fields(cls)}
        required = {one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING}
        for keys, problem in ((set(values) - names, "unknown"), (required - set(values), "missing")):
            if keys:
                raise UserError(f"{file}: {problem} key {', '.join(sorted(keys))}; see properties/pretrain.yaml")
        for key, value in values.items():
            if not VALUES[key].holds(value):
                raise UserError(f"{file}: {key}: expected {VALUES[key].words}, found {shown(value)}")
        if values["width"] % values["heads"]:
            raise UserError(f"{file}: heads: {values['heads']} heads do not divide width {values['width']}")
        config = cls(**values)
        if not (config.copy_steps or config.simulated_shops or config.real_datasets):
            raise UserError(f"{file}: nothing to train on; set categories and shops_per_category, or real_datasets")
        return config

    @property
    def simulated_shops(self) -> int:
        """Number of simulated shops to train on."""
        return len(self.categories) * self.shops_per_category

    @property
    def training(self) -> "BackbonePretrainSettings":
        """The settings of the training loop."""
        from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings

        return BackbonePretrainSettings(
            self.copy_steps,
            self.listed_passes,
            self.spelled_passes,
            self.batch_size,
            self.learning_rate,
            self.weight_decay,
            seed=self.seed,
            max_minutes=self.max_minutes,
        )
