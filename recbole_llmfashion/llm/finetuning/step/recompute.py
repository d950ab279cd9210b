"""Gradient checkpointing: which decoder layers compute their activations again in the backward, to save memory.

All of them cost a third of a step's products. `auto` begins with none and takes half of the remaining layers each time
the GPU runs out of memory. The first layers go first: when the backward reaches them, the activations of the later ones
are gone, so what they compute again adds nothing to the peak.
"""

from typing import Any, Literal

from transformers.modeling_layers import GradientCheckpointingLayer

Checkpointing = bool | Literal["auto"]


class Recompute:
    """The layers of a model that compute their activations again; of none until `start`.

    Args:
        model: a peft model or a causal LM.
        setting: True for all layers, False for none, auto for as many as the memory needs.

    Attributes:
        count: number of such layers.
    """

    def __init__(self, model: Any, setting: Checkpointing) -> None:
        self.model, self.setting, self.count = model, setting, 0
        self._layers = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]

    def start(self) -> None:
        """Before the first step."""
        if self.setting is True:
            self._take(self.total)

    @property
    def total(self) -> int:
        """Number of layers; 1 for a model that is checkpointed as a whole."""
        return len(self._layers) or 1

    def more(self) -> bool:
        """Takes half of the remaining layers; False if none remain or the setting is not auto."""
        if self.setting != "auto" or self.count == self.total:
            return False
        self._take(self.count + (self.total - self.count + 1) // 2)
        return True

    def _take(self, count: int) -> None:
        if not self.count:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.count = count
        for at, layer in enumerate(self._layers):
            layer.gradient_checkpointing = at < count

    def stop(self) -> None:
        """After the last step: no layer does."""
        if self.count:
            self.model.gradient_checkpointing_disable()
            self.count = 0
