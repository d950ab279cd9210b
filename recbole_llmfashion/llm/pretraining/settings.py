"""The settings of `recbole-llmfashion pretrain-backbone`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_llmfashion.config.allowed import (
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    DECAY,
    NOT_NEGATIVE,
    RATE,
    SEED,
    TEXT,
    Allowed,
    list_of,
    shown,
)
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError

if TYPE_CHECKING:
    from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings

_COUNTS = ("shops_per_category", "users_per_shop", "vocab_size", "width", "layers", "heads", "batch_size")
VALUES: dict[str, Allowed] = {
    **dict.fromkeys(("output", "shops", "query_texts"), TEXT),
    "categories": list_of(TEXT, "names", least=1),
    **dict.fromkeys(_COUNTS, AT_LEAST_ONE),
    **dict.fromkeys(("first_seed", "seed"), SEED),
    "copy_steps": AT_LEAST_ZERO,
    **dict.fromkeys(("listed_passes", "spelled_passes"), NOT_NEGATIVE),
    "learning_rate": RATE,
    "weight_decay": DECAY,
}


@dataclass(frozen=True)
class PretrainConfig:
    """The keys of properties/pretrain.yaml; all are required."""

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

    @classmethod
    def read(cls, file: Path) -> "PretrainConfig":
        """Reads a YAML file.

        Raises:
            UserError: the file is missing or is not YAML, a key is missing or unknown, or cannot have its value.
        """
        if not file.is_file():
            raise UserError(f"--config: {file} does not exist; the package has properties/pretrain.yaml")
        values = read_yaml(file)
        names = {field.name for field in fields(cls)}
        for keys, problem in ((set(values) - names, "unknown"), (names - set(values), "missing")):
            if keys:
                raise UserError(f"{file}: {problem} key {', '.join(sorted(keys))}; see properties/pretrain.yaml")
        for key, value in values.items():
            if not VALUES[key].holds(value):
                raise UserError(f"{file}: {key}: expected {VALUES[key].words}, found {shown(value)}")
        if values["width"] % values["heads"]:
            raise UserError(f"{file}: heads: {values['heads']} heads do not divide width {values['width']}")
        return cls(**values)

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
        )
