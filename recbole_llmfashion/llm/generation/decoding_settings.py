"""How responses are decoded: sampled as in the paper, or constrained to the catalogue's IDs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import with_first_names

ResponseTitle = Literal["generated", "catalogue"]
_FIRST_TITLE_WORDS: dict[ResponseTitle, str] = {"generated": "generate", "catalogue": "lookup"}


@dataclass(frozen=True)
class DecodingSettings:
    """How responses are decoded (section 5.1).

    Args:
        decoding: sample, the paper's temperature and top-p; constrained, greedy within the trie, then greedy.
        max_new_tokens: most tokens of a response, a forced prefix included.
        temperature, top_p: of sample.
        batch_size: prompts at once.
        seed: of sample; the same call gives the same texts.
        response_title: title of a constrained response. generated: the model writes it; catalogue: the catalogue's,
            decoding stops where only one ID is left.

    Raises:
        UserError: catalogue titles without constrained decoding.
    """

    decoding: Literal["sample", "constrained"] = "constrained"
    max_new_tokens: int = 64
    temperature: float = 0.05
    top_p: float = 0.95
    batch_size: int = 64
    seed: int = 0
    response_title: ResponseTitle = "generated"

    def stage_inputs(self) -> dict[str, Any]:
        """The settings as names of stages and run folders hold them: with the names and words of the first release."""
        fields = with_first_names(asdict(self), response_title="title_source")
        return fields | {"title_source": _FIRST_TITLE_WORDS[self.response_title]}

    @classmethod
    def from_stage_inputs(cls, fields: Mapping[str, Any]) -> "DecodingSettings":
        """The settings that `stage_inputs` gave."""
        words = {first: now for now, first in _FIRST_TITLE_WORDS.items()}
        rest = {name: value for name, value in fields.items() if name != "title_source"}
        return cls(**rest, response_title=words[fields["title_source"]])

    def __post_init__(self) -> None:
        if self.response_title == "catalogue" and self.decoding != "constrained":
            raise UserError("response_title: catalogue needs decoding: constrained; a sampled ID may be nobody's")
