"""Checkpoints of a running fine-tuning, so that an interrupted run resumes where it stopped.

    <folder>/step-<n>/adapter_config.json, adapter_model.safetensors   the adapter, as save_adapter writes it
                      tensors.safetensors                              optimizer state, random generator states
                      state.json                                       everything else, and the SHA-256 of the tensors

Nothing is pickled. A checkpoint is written to a temporary folder and renamed when it is complete; the previous
checkpoint is removed only then.
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
from recbole_llmfashion.files.digests import file_sha256
from recbole_llmfashion.files.folders import publish_folder, temporary_folder
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.llm.modeling.adapter import save_adapter

if TYPE_CHECKING:
    from peft import PeftModel

_STEP = "step-"
_DIGESTED = ("adapter_model.safetensors", "tensors.safetensors")


@dataclass(frozen=True)
class CheckpointFolder:
    """Folder of the last checkpoint of a fine-tuning.

    Args:
        path: created when the first checkpoint is saved; the caller removes it once the final adapter is saved.
        every: optimizer steps between two checkpoints; 0 saves none, but still resumes from an existing one.
    """

    path: Path
    every: int

    def due(self, steps: int) -> bool:
        """Whether to save a checkpoint after this number of steps."""
        return self.every > 0 and steps % self.every == 0

    def last(self) -> Path | None:
        """The folder of the last complete checkpoint, None without one."""
        complete = [path for path in self.path.glob(f"{_STEP}*") if path.suffix != ".partial"]  # of the first release
        return max(complete, key=lambda path: int(path.name.removeprefix(_STEP)), default=None)

    def save(self, steps: int, model: "PeftModel", tensors: dict[str, Tensor], state: dict[str, Any]) -> Path:
        """Writes a checkpoint, removes the previous one, and returns the new folder."""
        final = self.path / f"{_STEP}{steps}"
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        with temporary_folder(final) as part:
            save_adapter(model, part)
            save_file({**plain, **_generator_states(next(model.parameters()).device)}, part / "tensors.safetensors")
            digests = {name: file_sha256(part / name) for name in _DIGESTED}
            (part / "state.json").write_text(json.dumps({**state, "sha256": digests}))
            shutil.rmtree(final, ignore_errors=True)
            publish_folder(part, final, "state.json")
        for other in self.path.glob(f"{_STEP}*"):
            if other != final:
                shutil.rmtree(other)
        return final

    def load(self, model: "PeftModel") -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Restores the adapter and the random generators of the last checkpoint.

        Returns:
            the saved tensors and the saved state, or None without a checkpoint.

        Raises:
            UserError: the folder cannot be read, was changed, or holds the weights of a different adapter.
        """
        folder = self.last()
        if folder is None:
            return None
        try:
            state = parse_json((folder / "state.json").read_text())
            tensors = load_file(folder / "tensors.safetensors")
            weights = load_file(folder / "adapter_model.safetensors")
            _check_digests(folder, state.pop("sha256", {}))  # checkpoints of earlier releases have none
            _restore_adapter(model, weights)
        except (OSError, ValueError, SafetensorError, RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{folder}: the checkpoint cannot be read ({' '.join(str(error).split())[:160]}); "
                f"remove {self.path} to start again"
            ) from error
        _restore_generators(tensors, next(model.parameters()).device)
        return tensors, state


def _check_digests(folder: Path, digests: dict[str, str]) -> None:
    for name, digest in digests.items():
        if file_sha256(folder / name) != digest:
            raise ValueError(f"{name} was changed")


def _restore_adapter(model: "PeftModel", weights: dict[str, Tensor]) -> None:
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    current = get_peft_model_state_dict(model, save_embedding_layers=False)
    if {name: value.shape for name, value in current.items()} != {name: value.shape for name, value in weights.items()}:
        raise ValueError("its adapter has different layers or a different lora_r")
    set_peft_model_state_dict(model, weights)


def _generator_states(device: torch.device) -> dict[str, Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore_generators(tensors: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(tensors.pop("random.cpu"))
    cuda = tensors.pop("random.cuda", None)
    if cuda is not None and device.type == "cuda":
        torch.cuda.set_rng_state(cuda, device)
