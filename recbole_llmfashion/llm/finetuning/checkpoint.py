"""A running fine-tuning on the disk, so that a killed one goes on from where it was.

    <folder>/step-<n>/adapter_config.json, adapter_model.safetensors   the adapter, as save_adapter writes it
                      tensors.safetensors                              optimizer state, states of the random generators
                      state.json                                       everything else

Nothing is pickled. A step's folder is written beside and renamed when it is whole, and only then the one before goes.
Knows no model beyond its adapter, and not what the numbers in state.json mean.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.adapter import save_adapter
from recbole_llmfashion.stage_store import publish_folder

if TYPE_CHECKING:
    from peft import PeftModel

_STEP = "step-"


@dataclass(frozen=True)
class CheckpointFolder:
    """Where a fine-tuning keeps its last state.

    Args:
        path: made when the first state is saved; the caller removes it when the fine-tuning's outcome is safe.
        every: steps between two states; 0 saves none, but goes on from one that is there.
    """

    path: Path
    every: int

    def due(self, steps: int) -> bool:
        """Whether the state after so many steps is saved."""
        return self.every > 0 and steps % self.every == 0

    def last(self) -> Path | None:
        """The folder of the last whole state."""
        found = [path for path in self.path.glob(f"{_STEP}*") if path.suffix != ".partial"]
        return max(found, key=lambda path: int(path.name.removeprefix(_STEP)), default=None)

    def save(self, steps: int, model: "PeftModel", tensors: dict[str, Tensor], state: dict[str, Any]) -> Path:
        """Writes a state and removes the one before it."""
        final = self.path / f"{_STEP}{steps}"
        partial = final.with_name(f"{final.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_adapter(model, partial)
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file({**plain, **_generators(next(model.parameters()).device)}, partial / "tensors.safetensors")
        (partial / "state.json").write_text(json.dumps(state))
        shutil.rmtree(final, ignore_errors=True)
        publish_folder(partial, final, "state.json")
        for other in self.path.glob(f"{_STEP}*"):
            if other != final:
                shutil.rmtree(other)
        return final

    def load(self, model: "PeftModel") -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Puts the last state's adapter and random generators back.

        Returns:
            (the tensors that were saved, the state that was saved), None where there is none.

        Raises:
            UserError: the folder cannot be read or holds another adapter's weights.
        """
        folder = self.last()
        if folder is None:
            return None
        try:
            state = json.loads((folder / "state.json").read_text())
            tensors = load_file(folder / "tensors.safetensors")
            _put_adapter(model, load_file(folder / "adapter_model.safetensors"))
        except (OSError, ValueError, SafetensorError, RuntimeError, KeyError) as error:
            raise UserError(
                f"{folder}: the running fine-tuning cannot be read ({' '.join(str(error).split())[:160]}); "
                f"remove {self.path} to begin it anew"
            ) from error
        _set_generators(tensors, next(model.parameters()).device)
        return tensors, state


def _put_adapter(model: "PeftModel", weights: dict[str, Tensor]) -> None:
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in weights.items()}:
        raise ValueError("its adapter has other layers or another rank")
    set_peft_model_state_dict(model, weights)


def _generators(device: torch.device) -> dict[str, Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_generators(tensors: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(tensors.pop("random.cpu"))
    cuda = tensors.pop("random.cuda", None)
    if cuda is not None and device.type == "cuda":
        torch.cuda.set_rng_state(cuda, device)
