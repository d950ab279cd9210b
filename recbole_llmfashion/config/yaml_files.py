"""YAML files as RecBole's users write them."""

import re
from pathlib import Path
from typing import Any

import yaml

from recbole_llmfashion.errors import UserError


class RepeatedKeyError(yaml.constructor.ConstructorError):
    """A key is given twice in a mapping.

    Args:
        key: its node.
    """

    def __init__(self, key: yaml.ScalarNode) -> None:
        super().__init__(None, None, f"{key.value} is given twice", key.start_mark)
        self.line = key.start_mark.line + 1


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml, where PyYAML has it
    """A safe loader that reads 1e-5 as a number, as RecBole does; YAML 1.1 reads it as text.

    A key that is given twice is an error; PyYAML takes the last one.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See yaml.SafeLoader."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise RepeatedKeyError(key)
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$|^[-+]?\d[\d_]*\.[\d_]*$|^[-+]?\.\d+$|^[-+]?\.(inf|nan)$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML file of `key: value` lines; an empty file gives {}.

    Raises:
        UserError: the file is missing, is not YAML, has a key twice, or holds something else than a mapping.
    """
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=YamlLoader)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; --config_files takes YAML files separated by spaces, a path with a space in quotes"
        ) from None
    except RepeatedKeyError as error:
        raise UserError(f"{path}, line {error.line}: {error.problem}; leave one out") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())}); fix the file") from None
    if not isinstance(value, dict | None):
        raise UserError(f"{path}: expected `key: value` lines, found a {type(value).__name__}")
    return value or {}
