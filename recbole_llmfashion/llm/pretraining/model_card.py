"""Zero-shot metrics of a pre-trained backbone in an unseen simulated shop, and the backbone's model card.

The item embeddings are computed from words (item_embeddings.py); nothing is trained on the shop.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.llm.batching import collate
from recbole_llmfashion.llm.modeling.item_embeddings import ItemWords
from recbole_llmfashion.llm.modeling.seen import SeenDataset
from recbole_llmfashion.llm.pretraining.loop import hidden_states, item_table
from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
from recbole_llmfashion.llm.pretraining.shop_examples import ShopExamples

AT = 10
BATCH = 64


@torch.no_grad()
def target_ranks(model: Any, shop: ShopExamples, norm: float) -> np.ndarray:
    """The rank of each example's target among all items, at the ID of the response; ties by token id.

    Args:
        model: a Falcon with tied embeddings.
        shop: its `listed` examples are used.
        norm: norm of the item embeddings.

    Returns:
        int64 [examples], ranks from 1.
    """
    vocab_size = int(model.config.vocab_size)
    table = item_table(model, ItemWords(shop.words, vocab_size), norm, shop.positions)
    rows = table[vocab_size:]
    ranks = []
    for start in range(0, len(shop.listed), BATCH):
        examples = shop.listed[start : start + BATCH]
        batch = collate([example.response_only() for example in examples], 0).to(table.device)
        hidden = hidden_states(model, batch, table)
        at = torch.nonzero((batch.input_ids >= vocab_size) & batch.response_mask)
        scores = hidden[at[:, 0], at[:, 1] - 1] @ rows.T
        target = batch.input_ids[at[:, 0], at[:, 1]] - vocab_size
        own, tokens = scores.gather(1, target[:, None]), torch.arange(len(rows), device=rows.device)
        # items with equal words have equal scores; the order of token ids is a hash and unrelated to the targets
        ahead = (scores > own) | ((scores == own) & (tokens < target[:, None]))
        ranks.append(1 + ahead.sum(1).cpu().numpy())
    return np.concatenate([*ranks, np.zeros(0, np.int64)])


def measure(model: Any, shop: ShopExamples, norm: float) -> dict[str, Any]:
    """Metrics of one shop: recall@10, ndcg@10 and the recall@10 of a random ranking."""
    ranks = target_ranks(model, shop, norm)
    hit = ranks <= AT
    return {
        "shop": shop.name,
        "items": len(shop.words),
        "answers": len(ranks),
        "recall@10": float(hit.mean()),
        "ndcg@10": float((hit / np.log2(ranks + 1)).mean()),
        "chance@10": AT / max(1, len(shop.words)),
    }


def card(
    config: PretrainConfig,
    model: Any,
    log: Mapping[str, float],
    figures: Sequence[Mapping[str, Any]],
    queries: int,
    seen: Sequence[SeenDataset] = (),
) -> str:
    """The model card, README.md of the backbone's folder.

    Args:
        config: the keys of properties/pretrain.yaml.
        model: the trained model.
        log: returned by `pretrain`.
        figures: returned by `measure` for each unseen shop.
        queries: number of query texts in the tokenizer's training data.
        seen: real datasets whose training rows the model has seen, here or before.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = [
        "# The embedded backbone",
        "",
        f"A Falcon-architecture causal LM (arXiv 2311.16867) of {parameters:,} parameters, with its tokenizer of "
        f"{model.config.vocab_size:,} tokens. It replaces Falcon-7B on machines without access to a hub. It has "
        "learned the words of shops, the prompts of this package, and to copy from a prompt; it is no general language "
        "model.",
        "",
        f"Trained on {int(log['tokens']):,} tokens in {int(log['steps']):,} steps: "
        + _trained_on(config, queries, bool(seen)),
        "",
        *_seen_lines(seen),
        "Final losses in nats per token: "
        + ", ".join(f"{key} {value:.3f}" for key, value in log.items() if key.endswith("_loss"))
        + f". The norm of item embeddings is {log['norm']:.3f} (item_rows.json).",
        "",
        *_unseen_lines(figures),
        "For use with this package's prompts only. Licence: MIT, like the package. Rebuilt by",
        "`recbole-llmfashion pretrain-backbone --config properties/pretrain.yaml`.",
        "",
    ]
    return "\n".join(lines)


def _trained_on(config: PretrainConfig, queries: int, seen: bool) -> str:
    parts = []
    if config.copy_steps:
        parts.append("repeated random sequences")
    if config.simulated_shops:
        parts.append(
            f"{config.simulated_shops} simulated shops of {config.users_per_shop} customers "
            f"({', '.join(config.categories)}; seeds from {config.first_seed + 1}), whose brands are renamed and which "
            "no evaluation uses"
        )
    if config.real_datasets:
        parts.append(f"training rows of {len(config.real_datasets)} real datasets")
    text = ", then ".join(parts) + "."
    if config.backbone is None:
        text += f" The tokenizer was also trained on {queries:,} real queries (WANDS and WebShop, MIT)."
    else:
        text += f" Weights and tokenizer go on from {Path(config.backbone).name}, whose own training is not counted."
    return text if seen else text + " No evaluation dataset was used."


def _seen_lines(seen: Sequence[SeenDataset]) -> list[str]:
    """The real datasets that the model has seen, by name and digest."""
    if not seen:
        return []
    return [
        "It has seen the training rows of these datasets, never a user's last two item actions (seen.json). A result "
        "on one of them is not that of an unseen dataset:",
        "",
        "| dataset | users | item actions read | sha256 of the data | sha256 of the rows read |",
        "|---|---:|---:|---|---|",
        *(
            f"| {one.name} | {one.users:,} | {one.actions:,} | `{one.data_sha256}` | `{one.training_sha256}` |"
            for one in seen
        ),
        "",
    ]


def _unseen_lines(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    if not figures:
        return []
    return [
        "Rank of the bought item among all items in unseen shops, without training on them:",
        "",
        "| shop | items | test rows | Recall@10 | NDCG@10 | Recall@10 of a random ranking |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {f['shop']} | {f['items']:,} | {f['answers']:,} | {f['recall@10']:.4f} | {f['ndcg@10']:.4f} | "
            f"{f['chance@10']:.4f} |"
            for f in figures
        ),
        "",
    ]
