"""YAML files as RecBole's users write them."""

import re
from pathlib import Path
from typing import Any

import yaml

from recbole_llmfashion.errors import UserError


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml, where PyYAML has it
    """A safe loader that reads 1e-5 as a number, as RecBole does; YAML 1.1 reads it as text."""


YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$|^[-+]?\d[\d_]*\.[\d_]*$|^[-+]?\.\d+$|^[-+]?\.(inf|nan)$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML file of `key: value` lines; an empty file gives {}.

    Raises:
        UserError: the file is missing, is not YAML, or holds something else than a mapping.
    """
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=YamlLoader)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; --config_files takes YAML files separated by spaces, a path with a space in quotes"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())}); fix the file") from None
    if not isinstance(value, dict | None):
        raise UserError(f"{path}: expected `key: value` lines, found a {type(value).__name__}")
    return value or {}
