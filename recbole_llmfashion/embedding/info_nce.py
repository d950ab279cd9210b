"""Contrastive training of a text encoder on (query, title) pairs by symmetric InfoNCE."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from tqdm import tqdm

from recbole_llmfashion.embedding.query_title_pairs import PairTable

_MOST_LOGIT_SCALE = math.log(100.0)


def info_nce(queries: Tensor, titles: Tensor, positive: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE loss for batches in which other rows may be positives too.

    loss = (mean_i -log softmax_j(scale * s(q_i, t_j))[i] + mean_i -log softmax_j(scale * s(q_j, t_i))[i]) / 2,
    where j runs over i itself and the rows that are not positives of i.

    Args:
        queries, titles: [B, d] unit rows; row i of both is a pair.
        positive: [B, B] bool, whether query i and title j are a pair in the log.
        scale: scalar, the inverse temperature.

    Returns:
        scalar float.

    >>> unit = torch.eye(2)
    >>> round(info_nce(unit, unit, torch.eye(2, dtype=torch.bool), torch.tensor(1.0)).item(), 4)
    0.3133
    """
    own = torch.eye(len(queries), dtype=torch.bool, device=queries.device)
    logits = (scale * queries @ titles.T).masked_fill(positive & ~own, -torch.inf)
    labels = torch.arange(len(queries), device=queries.device)
    return (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2


def fit_contrastive(
    network: nn.Module,
    embed: Callable[[Sequence[str]], Tensor],
    table: PairTable,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    temperature: float,
    seed: int,
    show_progress: bool,
) -> None:
    """Train a network in place by symmetric InfoNCE (Radford et al. 2021, arXiv 2103.00020).

    Args:
        network: the parameters to train.
        embed: b texts -> [b, d] vectors, computed by the network; they need not be unit vectors.
        table: the pairs.
        epochs, batch_size, learning_rate: of AdamW.
        temperature: initial value; it is learned and at least 0.01, as in CLIP.
        seed: random seed for the batch order.
        show_progress: whether to show a progress bar.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    logit_scale = nn.Parameter(torch.tensor(-math.log(temperature), device=device))
    optimizer = torch.optim.AdamW([*network.parameters(), logit_scale], lr=learning_rate)
    steps = -(-len(table) // batch_size)
    with tqdm(total=epochs * steps, desc="CLIP tower", unit="step", disable=not show_progress) as bar:
        for _ in range(epochs):
            for rows in torch.randperm(len(table), generator=generator).split(batch_size):
                query_ids, title_ids = table.query_ids[rows.numpy()], table.title_ids[rows.numpy()]
                queries = normalize(embed([table.queries[i] for i in query_ids]), dim=1)
                titles = normalize(embed([table.titles[i] for i in title_ids]), dim=1)
                positive = torch.from_numpy(table.is_positive(query_ids[:, None], title_ids[None, :]))
                loss = info_nce(queries, titles, positive.to(device), logit_scale.exp())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    logit_scale.clamp_(max=_MOST_LOGIT_SCALE)
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
                bar.update()
