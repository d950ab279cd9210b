"""The engine: what the figures of a row depend on beside its data and the text of its keys.

It is part of the name of a row's stage, so a row of another engine is not taken for one of today's, neither in the
stage store nor in docs/results.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.keys import MODEL_KEYS
from recbole_llmfashion.files.digests import FileDigests, file_sha256, model_files, model_sha256
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.prompt.template import TEMPLATES
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.retrieval.ranking import FUSED
from recbole_llmfashion.stage_store import FORMAT, sha256
from recbole_llmfashion.trainer.recbole_models import FIT_FORMAT

# Raise the number of a kind of model, or of one model, when its figures change by the same data and keys, so that rows
# of before are made again. tests/quick_start/test_engine.py asks for it when a stage's inputs change.
ENGINES = {
    "LLMFashionRec": 2,
    "Recformer": 2,
    "BERT4Rec": 1,
    "CORE": 1,
    "GRU4Rec": 1,
    "SASRec": 1,
    "TextSASRec": 2,
    "": 1,
}


@cache
def engine_digest(model: str) -> str:
    """Sixteen hex digits of what every row of a model depends on: versions of stages, files and words of the package.

    For models that use parts of LLMFashionRec these are the shipped backbone, the prompt templates and the fused lists.

    Args:
        model: a name that `--model` takes.
    """
    spec = get_model(model)
    uses = {*spec.lineage, *spec.needs_keys_of}
    parts: dict[str, object] = {
        "stages": FORMAT,
        "fit": FIT_FORMAT,
        "engines": {name: version for name, version in ENGINES.items() if name in uses or not name},
    }
    if "LLMFashionRec" in uses:
        parts["backbone"] = {path.name: file_sha256(path) for path in model_files(TINY_FALCON_FOLDER)}
        parts["templates"] = {name: vars(template) for name, template in TEMPLATES.items()}
        parts["lists"] = list(FUSED)
    return sha256(parts)[:16]


def contents_of(values: Mapping[str, Any], digests: FileDigests) -> dict[str, str]:
    """The digests of the files that a row's keys name, by key; hub names and the shipped backbones are left out.

    Raises:
        UserError: a file cannot be read.
    """
    found = {}
    for key in MODEL_KEYS & values.keys():
        if not values[key]:
            continue
        path = Path(str(values[key]))
        if path.is_dir():
            found[key] = model_sha256(model_files(path), digests)
        elif path.is_file():
            found[key] = digests.sha256(path)
    return found
