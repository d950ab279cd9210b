"""What a pre-trained backbone can do in a world that it has not seen, and its model card.

Measured without any training there: rows from words alone (item_rows.py). Knows no files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.llm.batching import collate
from recbole_llmfashion.llm.modeling.item_embeddings import ItemWords
from recbole_llmfashion.llm.pretraining.loop import hidden_states, item_table
from recbole_llmfashion.llm.pretraining.simulated_shops import SimulatedShop

AT = 10
BATCH = 64


@torch.no_grad()
def target_ranks(model: Any, world: SimulatedShop, norm: float) -> np.ndarray:
    """[examples] rank from 1 of the bought item among all items, at the answer's ID; equal scores by token number."""
    vocab_size = int(model.config.vocab_size)
    table = item_table(model, ItemWords(world.words, vocab_size), norm, world.positions)
    rows = table[vocab_size:]
    ranks = []
    for start in range(0, len(world.listed), BATCH):
        examples = world.listed[start : start + BATCH]
        batch = collate([example.response_only() for example in examples], 0).to(table.device)
        hidden = hidden_states(model, batch, table)
        at = torch.nonzero((batch.input_ids >= vocab_size) & batch.response_mask)
        scores = hidden[at[:, 0], at[:, 1] - 1] @ rows.T
        target = batch.input_ids[at[:, 0], at[:, 1]] - vocab_size
        own, places = scores.gather(1, target[:, None]), torch.arange(len(rows), device=rows.device)
        # items of equal words score the same; their tokens' numbers are a hash, which favours none of them
        ahead = (scores > own) | ((scores == own) & (places < target[:, None]))
        ranks.append(1 + ahead.sum(1).cpu().numpy())
    return np.concatenate([*ranks, np.zeros(0, np.int64)])


def measure(model: Any, world: SimulatedShop, norm: float) -> dict[str, Any]:
    """Figures of one world."""
    ranks = target_ranks(model, world, norm)
    hit = ranks <= AT
    return {
        "world": world.name,
        "items": len(world.words),
        "answers": len(ranks),
        "recall@10": float(hit.mean()),
        "ndcg@10": float((hit / np.log2(ranks + 1)).mean()),
        "chance@10": AT / max(1, len(world.words)),
    }


def card(
    keys: Mapping[str, Any],
    model: Any,
    log: Mapping[str, float],
    figures: Sequence[Mapping[str, Any]],
    queries: int,
) -> str:
    """README.md of the backbone's folder; `keys` are those of properties/pretrain.yaml."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = [
        "# The embedded backbone",
        "",
        f"A Falcon-architecture causal LM (arXiv 2311.16867) of {parameters:,} parameters, with its tokenizer of "
        f"{model.config.vocab_size:,} tokens. It plays Falcon's part on a machine without a hub, and knows shop "
        "language, this package's prompts, and how to attend, compare and copy; nothing else.",
        "",
        f"Trained on {int(log['tokens']):,} tokens in {int(log['steps']):,} steps: random sequences that repeat "
        f"themselves, then {len(keys['categories']) * keys['worlds_per_category']} simulated worlds of "
        f"{keys['world_users']} customers ({', '.join(keys['categories'])}; seeds from "
        f"{keys['first_seed'] + 1}), "
        "whose brands are renamed and which no evaluation uses. The tokenizer also read "
        f"{queries:,} queries that people typed (WANDS and WebShop, MIT). It never saw an evaluation dataset.",
        "",
        "Losses at the end, in nats a token: "
        + ", ".join(f"{key} {value:.3f}" for key, value in log.items() if key.endswith("_loss"))
        + f". Items' rows have length {log['norm']:.3f} (item_rows.json).",
        "",
        "In worlds that it has not seen, without any training there, the bought item among all items:",
        "",
        "| world | items | answers | Recall@10 | NDCG@10 | Recall@10 by chance |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {f['world']} | {f['items']:,} | {f['answers']:,} | {f['recall@10']:.4f} | {f['ndcg@10']:.4f} | "
            f"{f['chance@10']:.4f} |"
            for f in figures
        ),
        "",
        "Not for anything but this package's prompts. Licence: MIT, as the package. Rebuilt by",
        "`recbole-llmfashion pretrain-backbone --config properties/pretrain.yaml`.",
        "",
    ]
    return "\n".join(lines)
