"""The title model: one LSTM that puts queries and titles on one unit sphere, trained by triplets.

Knows nothing of items, users or sequences: its world is (query, title) pairs and the titles of a catalogue.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import normalize
from tqdm import tqdm

from recbole_llmfashion.embedding.encode import encode_distinct
from recbole_llmfashion.embedding.hard_negatives import NegativeMiner, hardest
from recbole_llmfashion.embedding.query_title_pairs import PairTable
from recbole_llmfashion.embedding.settings import TitleSettings
from recbole_llmfashion.embedding.word_pieces import PAD_ID, TextTokenizer
from recbole_llmfashion.errors import UserError


def triplet_loss(query: Tensor, title: Tensor, hard_title: Tensor, hard_query: Tensor, margin: float) -> Tensor:
    """Two hard negatives per purchase (docs/method.md, stage 3).

    loss = mean(relu(margin - s(q, t) + s(q, t-)) + relu(margin - s(q, t) + s(q-, t))), s = cosine

    Args:
        query, title, hard_title, hard_query: unit vectors, [B, d] float.
        margin: in cosine units, > 0.

    Returns:
        scalar float.
    """
    positive = (query * title).sum(dim=1)
    wrong_title = (query * hard_title).sum(dim=1)
    wrong_query = (hard_query * title).sum(dim=1)
    return (torch.relu(margin - positive + wrong_title) + torch.relu(margin - positive + wrong_query)).mean()


def derive_pairs(texts_with_attributes: Sequence[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """Pairs for a log without queries: (a random half of a title's own words and attributes, that title).

    Args:
        texts_with_attributes: (title, its attribute values in one line), catalogue text alone.
        seed: of the halves.

    Returns:
        one pair a title, the half in the order of the text, its words distinct, rounded up.
    """
    generator = np.random.default_rng(seed)
    pairs = []
    for title, attributes in texts_with_attributes:
        words = list(dict.fromkeys(f"{title} {attributes}".lower().split()))
        chosen = np.sort(generator.permutation(len(words))[: (len(words) + 1) // 2])
        pairs.append((" ".join(words[i] for i in chosen), title))
    return pairs


class _TextLstm(nn.Module):
    """Piece ids [b, L] to unit vectors [b, hidden]: the mean of the LSTM's outputs over the pieces."""

    def __init__(self, vocabulary: int, width: int, hidden: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(vocabulary, width, padding_idx=PAD_ID)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        # padding stands at the end and the LSTM reads forward, so the outputs at real pieces never see it
        outputs, _ = self.lstm(self.pieces(ids))
        real = (ids != PAD_ID).unsqueeze(2)
        return normalize((outputs * real).sum(dim=1) / real.sum(dim=1), dim=1)


class TitleModel:
    """A trained encoder for queries and titles alike.

    Args:
        settings: those it was built with.
        tokenizer: its word pieces.
        device: where it computes.
    """

    def __init__(self, settings: TitleSettings, tokenizer: TextTokenizer, device: str = "cpu") -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._device = device
        self.network = _TextLstm(tokenizer.size, settings.width, settings.hidden).to(device)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """b >= 1 texts to [b, d] unit rows, on the model's device and with gradients."""
        return self.network(self._tokenizer.encode(texts, self._settings.max_length).to(self._device))

    def encode(self, texts: Sequence[str], batch_size: int = 512, show_progress: bool = False) -> np.ndarray:
        """Texts to [n, d] float32 unit rows; upper and lower case and runs of white space make no difference."""
        width = self._settings.hidden
        return encode_distinct(texts, self.embed, width, batch_size, show_progress, "title embeddings")

    def save(self, folder: Path) -> None:
        """Write settings (JSON), word pieces (JSON) and weights (safetensors) into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(asdict(self._settings), indent=1), encoding="utf-8")
        self._tokenizer.save(folder / "pieces.json")
        save_file(self.network.state_dict(), folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "TitleModel":
        """Read what `save` wrote."""
        settings = TitleSettings(**json.loads((folder / "settings.json").read_text(encoding="utf-8")))
        model = cls(settings, TextTokenizer.load(folder / "pieces.json"), device)
        model.network.load_state_dict(load_file(folder / "weights.safetensors", device=device))
        return model


def train_title_model(
    pairs: Sequence[tuple[str, str]],
    catalogue: Sequence[str],
    settings: TitleSettings,
    show_progress: bool = True,
    device: str = "cpu",
) -> TitleModel:
    """Train on (query, title) pairs with hard negatives from the batch and from the whole catalogue.

    The hard title of (q, t) is the title closest to q that is not paired with q, the hard query the query closest to t
    that is not paired with t. The batch is searched at every step; from the second epoch on also the catalogue, with
    the embeddings of the epoch's start. The closer of the two counts.

    Args:
        pairs: (query, title) of the training log, or `derive_pairs`.
        catalogue: all titles, repeats allowed.

    Raises:
        UserError: no pair has both a title and a query to be told apart from.
    """
    table = PairTable.from_pairs(pairs, catalogue)
    _require_negatives(table)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        tokenizer = TextTokenizer.train([*table.titles, *table.queries], settings.vocab_size)
        model = TitleModel(settings, tokenizer, device)
    generator = torch.Generator().manual_seed(settings.seed)
    miner = NegativeMiner(table, settings.mined, settings.seed)
    optimizer = torch.optim.Adam(model.network.parameters(), lr=settings.learning_rate)
    steps = -(-len(table) // settings.batch_size)
    with tqdm(total=settings.epochs * steps, desc="title model", unit="step", disable=not show_progress) as bar:
        for epoch in range(settings.epochs):
            if epoch:
                miner.refresh(model.encode(table.queries), model.encode(table.titles))
            for rows in torch.randperm(len(table), generator=generator).split(settings.batch_size):
                loss = _step_loss(model, table, miner, rows.numpy(), settings.margin)
                if loss is not None:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
                bar.update()
    return model


def _step_loss(
    model: TitleModel, table: PairTable, miner: NegativeMiner, rows: np.ndarray, margin: float
) -> Tensor | None:
    """The batch's triplet loss; None where no pair of the batch has both negatives."""
    query_ids, title_ids = table.query_ids[rows], table.title_ids[rows]
    # candidates: the batch's own texts first, so that the first len(rows) vectors are the pairs' own
    all_queries = np.r_[query_ids, miner.hard_queries(title_ids)]
    all_titles = np.r_[title_ids, miner.hard_titles(query_ids)]
    queries = model.embed([table.queries[i] for i in all_queries])
    titles = model.embed([table.titles[i] for i in all_titles])
    query, title = queries[: len(rows)], titles[: len(rows)]
    free_titles = ~table.is_positive(query_ids[:, None], all_titles[None, :])
    free_queries = ~table.is_positive(all_queries[None, :], title_ids[:, None])
    usable = torch.from_numpy(free_titles.any(axis=1) & free_queries.any(axis=1)).to(query.device)
    if not usable.any():
        return None
    hard_title = hardest(query, titles, free_titles)
    hard_query = hardest(title, queries, free_queries)
    return triplet_loss(query[usable], title[usable], hard_title[usable], hard_query[usable], margin)


def _require_negatives(table: PairTable) -> None:
    other_titles = table.positives_per_query()[table.query_ids] < len(table.titles)
    other_queries = table.positives_per_title()[table.title_ids] < len(table.queries)
    if not (other_titles & other_queries).any():
        raise UserError(
            f"title model: {len(table)} training pairs with {len(table.queries)} distinct queries and "
            f"{len(table.titles)} distinct titles leave nothing to contrast; give it more users or searches"
        )
