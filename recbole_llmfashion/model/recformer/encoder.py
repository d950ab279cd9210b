"""The Longformer of transformers with an item position embedding: token ids to one vector per sequence.

arXiv 2305.13731, section 2.2. A small Longformer is created here for use without a hub; a pretrained one is loaded from
a hub or a folder.
"""

from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import LongformerConfig, LongformerForMaskedLM, LongformerModel
from transformers.models.longformer.modeling_longformer import LongformerLMHead

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.flatten import TYPES, TokenBatch

TypeInit = Literal["broadcast", "normal"]
INIT_STD = 0.02
WEIGHTS = "encoder.safetensors"
_NAMES = {"_name_or_path", "architectures", "dtype", "transformers_version"}


class Encoder(nn.Module):
    """Longformer with four embeddings; the vector of a sequence is the hidden state of its first token.

        h = Longformer(LN(W_word[id] + W_position[p] + W_type[type] + W_item[k]))

    The first token has global attention, all others a sliding window. p counts tokens from pad_id + 1.

    Args:
        longformer: without pooler, with `TYPES` token types.
        max_items: maximum number of items of a sequence; W_item has one more row, for the first token.
        seed: random seed for W_item, N(0, 0.02).
    """

    def __init__(self, longformer: LongformerModel, max_items: int, seed: int) -> None:
        super().__init__()
        self.longformer = longformer
        self.item_embedding = nn.Embedding(max_items + 1, longformer.config.hidden_size)
        nn.init.normal_(self.item_embedding.weight, std=INIT_STD, generator=torch.Generator().manual_seed(seed))

    @property
    def max_items(self) -> int:
        """Maximum number of items of a sequence."""
        return self.item_embedding.num_embeddings - 1

    @property
    def max_tokens(self) -> int:
        """Maximum number of tokens of a sequence."""
        return int(self.longformer.config.max_position_embeddings - self.longformer.config.pad_token_id - 1)

    @property
    def window(self) -> int:
        """Width of the attention window; padded lengths must be multiples of it."""
        return int(max(self.longformer.config.attention_window))

    @property
    def parameters_count(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward_config(self) -> dict[str, Any]:
        """The config, without what names a file or a version: equal weights may have another number of heads."""
        fields = self.longformer.config.to_dict()
        return {name: fields[name] for name in sorted(fields.keys() - _NAMES)}

    def forward(self, batch: TokenBatch) -> Tensor:
        """Hidden states [B, T, d]; T must be a multiple of the window."""
        words: Any = self.longformer.get_input_embeddings()
        pad = self.longformer.config.pad_token_id
        first = torch.zeros_like(batch.mask)
        first[:, 0] = 1
        hidden: Tensor = self.longformer(
            # the embedding layer of transformers adds positions and types to these, then normalizes
            inputs_embeds=words(batch.ids) + self.item_embedding(batch.item_positions),
            token_type_ids=batch.types,
            position_ids=pad + batch.mask.cumsum(dim=1) * batch.mask,
            attention_mask=batch.mask,
            global_attention_mask=first,
        ).last_hidden_state
        return hidden

    def save(self, folder: Path) -> None:
        """Writes config.json and safetensors, which `load_encoder` reads."""
        self.longformer.config.save_pretrained(str(folder))
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)


def new_encoder(
    vocab_size: int,
    width: int,
    layers: int,
    heads: int,
    window: int,
    max_items: int,
    max_tokens: int,
    pad_id: int,
    bos_id: int,
    seed: int,
) -> Encoder:
    """A small Longformer with random weights.

    Weights are N(0, 1 / width). With N(0, 0.02), the default for a width of 768, the vectors of all sequences are
    almost equal at first, and most of a short training is spent on separating them.

    Args:
        vocab_size: number of tokens of its tokenizer.
        width: hidden size, a multiple of heads; the feed-forward layers are four times as wide.
        layers, heads: number of blocks, and of attention heads per block.
        window: width of the attention window, even.
        max_items, max_tokens: maximum number of items and tokens of a sequence.
        pad_id, bos_id: the tokenizer's.
        seed: random seed for the weights; the state of the global generator is restored.

    Raises:
        UserError: width is not a multiple of heads, or the window is not even.
    """
    if width < 1 or heads < 1 or width % heads:
        raise UserError(f"recformer: expected a width that is a multiple of heads ({heads}), found {width}")
    check_window(window)
    config = LongformerConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=pad_id + max_tokens + 1,
        type_vocab_size=TYPES,
        attention_window=[window] * layers,
        pad_token_id=pad_id,
        bos_token_id=bos_id,
        eos_token_id=bos_id,
        sep_token_id=bos_id,
        initializer_range=width**-0.5,
        layer_norm_eps=1e-5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Encoder(LongformerModel(config, add_pooling_layer=False), max_items, seed)


def check_window(window: int) -> None:
    """Raises a UserError unless the window is even and positive."""
    if window < 2 or window % 2:
        raise UserError(f"recformer.attention_window: expected an even number above 0, found '{window}'")


def load_encoder(folder: Path) -> Encoder:
    """Reads a folder written by `Encoder.save`."""
    config = LongformerConfig.from_pretrained(str(folder))
    weights = load_file(folder / WEIGHTS)
    encoder = Encoder(LongformerModel(config, add_pooling_layer=False), len(weights["item_embedding.weight"]) - 1, 0)
    encoder.load_state_dict(weights)
    return encoder


def load_longformer(
    name_or_path: str, window: int, max_items: int, type_init: TypeInit, seed: int
) -> tuple[Encoder, nn.Module]:
    """Loads a pretrained Longformer with its language-model head.

    W_item is new, N(0, 0.02). W_type has four rows: copies of the pretrained row (broadcast, as in the published code)
    or N(0, 0.02) (normal, as in the Recformer paper). The head is no longer tied to W_word.

    Args:
        name_or_path: a hub name or a folder written by save_pretrained, with weights in safetensors.
        window: replaces the attention window of every layer.
        max_items: maximum number of items of a sequence.
        type_init: initial values of W_type.
        seed: random seed for the new weights.

    Raises:
        UserError: no such model, another architecture, or missing weights.
    """
    check_window(window)
    try:
        config = LongformerConfig.from_pretrained(name_or_path)
        model, report = LongformerForMaskedLM.from_pretrained(
            name_or_path,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # hub, cache, config and file readers have no common base class
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"recformer_name_or_path: no Longformer could be loaded from '{name_or_path}' ({reason}); check the name "
            "and the network, or use a local folder or `embedded`"
        ) from error
    missing = [key for key in report["missing_keys"] if not key.startswith("lm_head.")]
    if config.model_type != "longformer" or missing:
        raise UserError(
            f"recformer_name_or_path: expected a Longformer with all of its weights, found '{name_or_path}' "
            f"({config.model_type}, {len(missing)} weights missing); name another folder or hub model"
        )
    encoder = Encoder(_with_window(model.longformer, window), max_items, seed)
    types = model.longformer.embeddings.token_type_embeddings
    generator = torch.Generator().manual_seed(seed)
    weight = types.weight.data[:1].repeat(TYPES, 1)
    if type_init == "normal":
        weight = torch.empty_like(weight).normal_(std=INIT_STD, generator=generator)
    encoder.longformer.embeddings.token_type_embeddings = nn.Embedding.from_pretrained(weight, freeze=False)
    encoder.longformer.config.type_vocab_size = TYPES
    head = model.lm_head
    head.decoder.weight = nn.Parameter(head.decoder.weight.detach().clone())
    return encoder, head


def _with_window(longformer: LongformerModel, window: int) -> LongformerModel:
    layers = longformer.config.num_hidden_layers
    longformer.config.attention_window = [window] * layers
    for layer in longformer.encoder.layer:
        layer.attention.self.one_sided_attn_window_size = window // 2
    return longformer


def new_head(encoder: Encoder, seed: int) -> nn.Module:
    """A language-model head with random weights, not tied to W_word."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = LongformerLMHead(encoder.longformer.config)
        for module in head.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INIT_STD)
                nn.init.zeros_(module.bias)
        return head
