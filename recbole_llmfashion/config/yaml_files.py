"""YAML files as RecBole's users write them."""

from pathlib import Path
from typing import Any

import yaml

from recbole_llmfashion.errors import UserError


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml, where PyYAML has it
    """YAML 1.1 reads 1e-5 as text; RecBole's users write it as a number."""


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dict; an absent file, a broken one or one that is no mapping is a UserError."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=YamlLoader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; --config_files takes YAML files separated by spaces") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())}); mend it") from None
    if not isinstance(value, dict | None):
        raise UserError(f"{path}: expected `key: value` lines, found a {type(value).__name__}")
    return value or {}
