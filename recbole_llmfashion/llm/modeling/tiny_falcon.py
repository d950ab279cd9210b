"""tiny-falcon: a Falcon (arXiv 2311.16867) of about a million parameters with its tokenizer, for use without a hub."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import FalconConfig, FalconForCausalLM, PreTrainedTokenizerFast

from recbole_llmfashion.errors import UserError

# the backbone that is part of the package, built by llm/pretraining
TINY_FALCON, TINY_FALCON_UNTRAINED = "tiny-falcon", "tiny-falcon-untrained"  # values of llm_name_or_path
TINY_FALCON_FOLDER = Path(__file__).with_name("tiny_falcon")
UNTRAINED_FROM = ("config.json", "item_rows.json", "tokenizer.json", "tokenizer_config.json")  # all but its weights
PAD, EOS = "<pad>", "<eos>"
PAD_ID, EOS_ID = 0, 1
BYTES = 256
# Spaces and line breaks occur only at the start of a token, so the ids of concatenated texts are the concatenated ids.
# Digits are grouped in pairs: a hundred tokens cover all IDs and leave the vocabulary to words, while groups of three
# would take most of a small vocabulary. A comma is a separate token, so the end of an ID is always tokenized the same.
WORDS = Regex(r" ?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N},]+|,|\s")


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokenizer; <pad> is 0, <eos> is 1. Decoding restores any text exactly.

    Args:
        texts: training texts.
        vocab_size: maximum number of tokens; fewer if the texts have fewer pairs to merge.

    Raises:
        UserError: vocab_size is smaller than the number of bytes and special tokens.
    """
    if vocab_size < BYTES + 2:
        raise UserError(f"vocab_size: expected {BYTES + 2} or more (bytes and special tokens), found {vocab_size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORDS, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS, clean_up_tokenization_spaces=False
    )


def new_tiny_falcon(vocab_size: int, width: int, layers: int, heads: int, seed: int) -> FalconForCausalLM:
    """A Falcon with random weights: rotary positions, sequential blocks, tied embeddings, no bias, no dropout.

    Args:
        vocab_size: number of tokens of its tokenizer.
        width: hidden size, a multiple of 2 * heads.
        layers, heads: number of blocks, and of attention heads per block.
        seed: random seed for the weights; the state of the global generator is restored.

    Raises:
        UserError: width is not a multiple of 2 * heads.
    """
    if width % (2 * heads):
        raise UserError(f"width: expected a multiple of 2 * heads ({2 * heads}) for rotary positions, found {width}")
    config = FalconConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        multi_query=False,
        parallel_attn=False,
        bias=False,
        alibi=False,
        new_decoder_architecture=False,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return FalconForCausalLM(config)


def save_tiny_falcon(model: FalconForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes a folder that `load_backbone` reads: config, safetensors, tokenizer."""
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def save_untrained(folder: Path, seed: int) -> None:
    """Writes tiny-falcon with random weights, the baseline for its pre-training, from the files UNTRAINED_FROM.

    Tokenizer and norm of item embeddings are those of tiny-falcon, so only the pre-training differs.
    """
    config = FalconConfig.from_pretrained(str(TINY_FALCON_FOLDER))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = FalconForCausalLM(config)
    save_tiny_falcon(model, PreTrainedTokenizerFast.from_pretrained(str(TINY_FALCON_FOLDER)), folder)
    shutil.copy(TINY_FALCON_FOLDER / "item_rows.json", folder)
