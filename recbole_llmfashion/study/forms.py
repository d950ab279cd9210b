"""The two forms of LLMFashionRec that studies compare: the paper's, and the one that the package ships.

The paper's form is properties/model/LLMFashionRec-paper.yaml: its prompt with texts and attributes, IDs as text,
purchases as responses, sampled IDs and titles, mixup. That file also sizes the training for Falcon-7B on a GPU. A study
takes the form and leaves the size to the run: with the default keys it is that of tiny-falcon, and with
`--config_files=properties/model/LLMFashionRec-paper.yaml` that of the paper. `size_note` reports the difference.
"""

from typing import TYPE_CHECKING, Any

from recbole_llmfashion.config.command_line import split_names
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.study.request import (
    OWN,
    PAPER_FORM,
    UNTRAINED_FORM,
    StudyRequest,
    label_of,
    registry_name,
)
from recbole_llmfashion.study.runner import Entry

if TYPE_CHECKING:  # RecBole is not imported for the help of a command
    from recbole_llmfashion.config.configurator import LLMFashionConfig

DEFAULT = "LLMFashionRec, the default"
PAPER_FILE = "model/LLMFashionRec-paper.yaml"
CORE_KEYS = frozenset({"epochs", "stopping_step", "train_batch_size"})  # keys of the file that CORE reads
# Keys of the file that depend on the backbone and on the machine, not on the method.
SIZE_KEYS = frozenset(
    {
        "llm_name_or_path",
        "llm_learning_rate",
        "llm_epochs",
        "curriculum_epochs",
        "llm_batch_size",
        "gradient_accumulation_steps",
        "gradient_checkpointing",
        "generation_batch_size",
        "clip_model",
        "clip_pretrained",
        "MAX_ITEM_LIST_LENGTH",
        *CORE_KEYS,
    }
)


def paper_keys() -> dict[str, Any]:
    """All keys of the paper's file."""
    return read_yaml(properties_folder() / PAPER_FILE)


def paper_form() -> dict[str, Any]:
    """The keys of the paper's form: those of its file without SIZE_KEYS."""
    return {key: value for key, value in paper_keys().items() if key not in SIZE_KEYS}


def form_keys(model: str) -> dict[str, Any]:
    """The keys of a row that is another form of LLMFashionRec; none for every other model.

    Args:
        model: a name that `--models` of a study takes.
    """
    if model == PAPER_FORM:
        return paper_form()
    return {"llm_name_or_path": "tiny-falcon-untrained"} if model == UNTRAINED_FORM else {}


def beside(request: StudyRequest) -> list[Entry]:
    """The rows that `--beside` puts below those of a study of LLMFashionRec alone.

    LLMFashionRec itself is there called its default, for the study's own first row has the plain name.

    Raises:
        UserError: an unknown model.
    """
    names = split_names(request.options.get("beside", "none"))
    found = []
    for name in () if names == ["none"] else names:
        get_model(registry_name(name), "--beside")
        label = DEFAULT if name == OWN else label_of(name)
        found.append(Entry(label, registry_name(name), form_keys(name), group=label))
    return found


def size_note(config: "LLMFashionConfig") -> str:
    """What a run in the paper's form does not have of the paper's size; empty if it has all of it.

    Args:
        config: of LLMFashionRec in that run.
    """
    keys, core = paper_keys(), config.sibling("CORE")
    here = {key: core[key] if key in CORE_KEYS else config[key] for key in sorted(SIZE_KEYS)}
    other = [
        f"{key}{' of CORE' if key in CORE_KEYS else ''} {value} ({keys[key]})"
        for key, value in here.items()
        if value != keys[key]
    ]
    if not other:
        return ""
    return (
        f"The form is the paper's ({PAPER_FILE.rpartition('/')[2]}), the size is not. Here, and in that file in "
        f"brackets: {', '.join(other)}."
    )
