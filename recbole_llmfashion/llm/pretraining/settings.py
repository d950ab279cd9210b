"""The settings of `recbole-llmfashion pretrain-backbone`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError

if TYPE_CHECKING:
    from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings


@dataclass(frozen=True)
class PretrainConfig:
    """The keys of properties/pretrain.yaml; all are required."""

    output: str
    worlds: str
    categories: list[str]
    worlds_per_category: int
    world_users: int
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
            UserError: the file is missing or is not YAML, a key is missing or unknown.
        """
        if not file.is_file():
            raise UserError(f"--config: {file} is not there; properties/pretrain.yaml is the one that ships")
        given = read_yaml(file)
        names = {field.name for field in fields(cls)}
        for wrong, word in ((set(given) - names, "unknown"), (names - set(given), "missing")):
            if wrong:
                raise UserError(f"{file}: {word} key {', '.join(sorted(wrong))}; see properties/pretrain.yaml")
        return cls(**given)

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
