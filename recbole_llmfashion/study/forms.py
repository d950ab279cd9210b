"""The two forms of LLMFashionRec that studies compare: the paper's, and the one that the package ships.

The paper's form is properties/model/LLMFashionRec-paper.yaml: its prompt with texts and attributes, IDs as text,
purchases as responses, sampled IDs and titles, mixup. That file also sizes the training for Falcon-7B on a GPU. A study
takes the form and leaves the size to the run: with the default keys it is that of tiny-falcon, and with
`--config_files=properties/model/LLMFashionRec-paper.yaml` that of the paper. `size_note` reports the difference.
"""

from collections.abc import Mapping
from typing import Any

from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.config.yaml_files import read_yaml

FORMS = ("paper", "shipped")
PAPER_FILE = "model/LLMFashionRec-paper.yaml"
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
    }
)


def paper_keys() -> dict[str, Any]:
    """All keys of the paper's file."""
    return read_yaml(properties_folder() / PAPER_FILE)


def paper_form() -> dict[str, Any]:
    """The keys of the paper's form: those of its file without SIZE_KEYS."""
    return {key: value for key, value in paper_keys().items() if key not in SIZE_KEYS}


def size_note(config: Mapping[str, Any]) -> str:
    """What a run in the paper's form does not have of the paper's size; empty if it has all of it.

    Args:
        config: the values of a run.
    """
    keys = paper_keys()
    other = [f"{key} {config[key]} ({keys[key]})" for key in sorted(SIZE_KEYS & set(keys)) if config[key] != keys[key]]
    if not other:
        return ""
    return (
        f"The form is the paper's ({PAPER_FILE.rpartition('/')[2]}), the size is not. Here, and in that file in "
        f"brackets: {', '.join(other)}."
    )
