"""Settings of the two text encoders that are trained on (query, item title) pairs."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ClipSettings:
    """Size and training of the CLIP text tower that is trained on the log where no pretrained one is named.

    It is small beside open_clip's defaults of 77 tokens and 49,408 word pieces.

    Args:
        vocab_size: maximum number of word pieces.
        context_length: maximum number of word pieces per text, including the end token.
        width: hidden size of open_clip's TextTransformer, a multiple of `heads`.
        heads: attention heads.
        layers: transformer layers.
        embed_dim: size of a text vector.
        epochs: passes over the (query, item title) pairs.
        batch_size: pairs per step.
        learning_rate: learning rate of AdamW.
        temperature: initial temperature of the InfoNCE loss; it is learned from there.
        seed: random seed for weights and batch order.

    >>> ClipSettings(epochs=5).learning_rate
    0.001
    """

    vocab_size: int = 2000
    context_length: int = 24
    width: int = 64
    heads: int = 2
    layers: int = 2
    embed_dim: int = 64
    epochs: int = 3
    batch_size: int = 256
    learning_rate: float = 1e-3
    temperature: float = 0.07
    seed: int = 0


@dataclass(frozen=True)
class TitleSettings:
    """Size and training of the title model, an LSTM trained by triplets (docs/method.md, stage 3; sizes are ours).

    Args:
        vocab_size: maximum number of word pieces.
        max_length: maximum number of word pieces per text; the rest of a longer text is not read.
        width: size of a word piece's embedding.
        hidden: hidden size of the LSTM, which is the size of a text vector.
        epochs: passes over the (query, title) pairs.
        batch_size: pairs per step.
        learning_rate: learning rate of Adam.
        margin: margin of the triplet loss, in cosine units.
        mined: nearest wrong texts of the whole catalogue of which each step draws one; 1: the nearest, as in the paper.
        mining_start_epoch: first epoch, counted from 0, that has negatives from the catalogue; earlier ones have those
            of their batch.
        seed: random seed for weights, batch order and negatives.

    >>> TitleSettings(hidden=64).margin
    0.2
    """

    vocab_size: int = 4000
    max_length: int = 24
    width: int = 64
    hidden: int = 128
    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 1e-3
    margin: float = 0.2
    mined: int = 4
    mining_start_epoch: int = 1
    seed: int = 0

    def stage_inputs(self) -> dict[str, Any]:
        """The fields that the name of the title model's stage is made of.

        >>> "mining_start_epoch" in TitleSettings().stage_inputs()
        False
        """
        from recbole_llmfashion.stage_store import without_later  # needs numpy; reading keys does not

        return without_later(asdict(self), mining_start_epoch=1)
