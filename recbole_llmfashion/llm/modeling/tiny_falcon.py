"""The Falcon-architecture model of about a million parameters, and its tokenizer, for where no hub is.

Knows nothing of what it will be trained on: texts come in, a tokenizer comes out. Falcon: arXiv 2311.16867.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import FalconConfig, FalconForCausalLM, PreTrainedTokenizerFast

from recbole_llmfashion.errors import UserError

TINY_FALCON_FOLDER = Path(__file__).with_name(
    "tiny_falcon"
)  # the backbone that comes with the package, made by pretrain.py
PAD, EOS = "<pad>", "<eos>"
PAD_ID, EOS_ID = 0, 1
BYTES = 256
# A space or line break opens a token and never stands inside one, so that joined ids are the ids of joined text.
# Digits go in pairs: a hundred tokens spell every ID and leave the vocabulary to words, where groups of three took most
# of a small one. A comma is a token, so that it ends an ID always the same way.
WORDS = Regex(r" ?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N},]+|,|\s")


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE; <pad> is 0, <eos> is 1; any text comes back as it was.

    Args:
        texts: what to learn merges from.
        vocab_size: most tokens; fewer where the texts hold fewer pairs.

    Raises:
        UserError: vocab_size does not hold the bytes and the two marks.
    """
    if vocab_size < BYTES + 2:
        raise UserError(f"vocab_size: {vocab_size} is too small; {BYTES + 2} hold the bytes and two marks")
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
    """A fresh Falcon: rotary positions, sequential blocks, tied embeddings, no bias, no dropout.

    Args:
        vocab_size: tokens of its tokenizer.
        width: hidden size, a multiple of 2 * heads.
        layers, heads: blocks, and attention heads in each.
        seed: of the weights; the global generator is left as it was.

    Raises:
        UserError: width and heads do not go together.
    """
    if width % (2 * heads):
        raise UserError(f"width: {width} is no multiple of 2 * heads ({heads}), which rotary needs")
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
    """Writes the shipped backbone's shape and tokenizer with random weights: what its pre-training is measured against.

    Its items' rows have the length of the shipped one's, so that only what was learned is missing.
    """
    config = FalconConfig.from_pretrained(str(TINY_FALCON_FOLDER))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = FalconForCausalLM(config)
    save_tiny_falcon(model, PreTrainedTokenizerFast.from_pretrained(str(TINY_FALCON_FOLDER)), folder)
    shutil.copy(TINY_FALCON_FOLDER / "item_rows.json", folder)
