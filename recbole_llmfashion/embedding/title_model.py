"""The title model: an LSTM that encodes queries and titles into unit vectors, trained with a triplet loss."""

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
from recbole_llmfashion.files.json_text import parse_json


def triplet_loss(query: Tensor, title: Tensor, hard_title: Tensor, hard_query: Tensor, margin: float) -> Tensor:
    """Triplet loss with a hard title and a hard query per pair (docs/method.md, stage 3).

    loss = mean(relu(margin - s(q, t) + s(q, t-)) + relu(margin - s(q, t) + s(q-, t))), s = cosine

    Args:
        query, title, hard_title, hard_query: [B, d] float unit rows.
        margin: in units of cosine, > 0.

    Returns:
        scalar float.

    >>> query, title = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]])
    >>> round(triplet_loss(query, title, torch.tensor([[0.8, 0.6]]), torch.tensor([[0.0, 1.0]]), 0.2).item(), 4)
    0.8
    """
    positive = (query * title).sum(dim=1)
    wrong_title = (query * hard_title).sum(dim=1)
    wrong_query = (hard_query * title).sum(dim=1)
    return (torch.relu(margin - positive + wrong_title) + torch.relu(margin - positive + wrong_query)).mean()


def derive_pairs(texts_with_attributes: Sequence[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """Make (query, title) pairs for a log without queries: a query is a random half of an item's distinct words.

    Args:
        texts_with_attributes: (title, attribute values separated by spaces) of each item.
        seed: random seed for the halves.

    Returns:
        one pair per item; the words of the query are in the order of the text, their number is rounded up.

    >>> derive_pairs([("Red Boots", "Vela red 8")], seed=0)
    [('red vela', 'Red Boots')]
    """
    generator = np.random.default_rng(seed)
    pairs = []
    for title, attributes in texts_with_attributes:
        words = list(dict.fromkeys(f"{title} {attributes}".lower().split()))
        chosen = np.sort(generator.permutation(len(words))[: (len(words) + 1) // 2])
        pairs.append((" ".join(words[i] for i in chosen), title))
    return pairs


class _TextLstm(nn.Module):
    """Word-piece ids [b, L] -> unit vectors [b, hidden]: the normalized mean of the LSTM's outputs."""

    def __init__(self, vocabulary: int, width: int, hidden: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(vocabulary, width, padding_idx=PAD_ID)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        # padding is at the end and the LSTM reads forward, so the outputs at real pieces do not depend on it
        outputs, _ = self.lstm(self.pieces(ids))
        real = (ids != PAD_ID).unsqueeze(2)
        return normalize((outputs * real).sum(dim=1) / real.sum(dim=1), dim=1)


class TitleModel:
    """An encoder for queries and titles.

    Args:
        settings: of the model.
        tokenizer: its word pieces.
        device: torch device.
    """

    def __init__(self, settings: TitleSettings, tokenizer: TextTokenizer, device: str = "cpu") -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._device = device
        self.network = _TextLstm(tokenizer.size, settings.width, settings.hidden).to(device)

    def pieces(self, texts: Sequence[str]) -> Tensor:
        """b texts -> [b, L] int64 word pieces, `PAD_ID` behind the end of a text."""
        return self._tokenizer.encode(texts, self._settings.max_length)

    def embed_pieces(self, pieces: Tensor) -> Tensor:
        """b >= 1 rows of `pieces` -> [b, d] unit rows on the model's device, with gradients."""
        longest = int((pieces != PAD_ID).sum(dim=1).max())
        return self.network(pieces[:, :longest].to(self._device))

    def embed(self, texts: Sequence[str]) -> Tensor:
        """b >= 1 texts -> [b, d] unit rows on the model's device, with gradients."""
        return self.embed_pieces(self.pieces(texts))

    def encode(self, texts: Sequence[str], batch_size: int = 512, show_progress: bool = False) -> np.ndarray:
        """n texts -> [n, d] float32 unit rows; case and the amount of white space do not matter."""
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
        """Load a model written by `save`."""
        settings = TitleSettings(**parse_json((folder / "settings.json").read_text(encoding="utf-8")))
        model = cls(settings, TextTokenizer.load(folder / "pieces.json"), device)
        model.network.load_state_dict(load_file(folder / "weights.safetensors", device=device))
        return model


class _Texts:
    """Texts whose pieces are made once, for a training that embeds them in every epoch.

    Args:
        model: that embeds them.
        texts: in the order of the ids of a PairTable.
    """

    def __init__(self, model: TitleModel, texts: Sequence[str]) -> None:
        self._model, self._pieces = model, model.pieces(texts)

    def embed(self, ids: np.ndarray) -> Tensor:
        """b >= 1 ids of texts -> [b, d] unit rows, with gradients; a text that occurs twice is read once."""
        distinct, place = np.unique(ids, return_inverse=True)
        return self._model.embed_pieces(self._pieces[distinct])[torch.from_numpy(place)]


def train_title_model(
    pairs: Sequence[tuple[str, str]],
    catalogue: Sequence[str],
    settings: TitleSettings,
    show_progress: bool = True,
    device: str = "cpu",
) -> TitleModel:
    """Train on (query, title) pairs with hard negatives from the batch and from the whole catalogue.

    The hard title of (q, t) is the title nearest to q that is not paired with q, the hard query the query nearest to t
    that is not paired with t. Each step searches the batch and, from epoch `mining_start_epoch` on, one of the
    `mined` nearest titles and queries of the catalogue by the embeddings of the epoch's start; the nearest is used.

    Args:
        pairs: (query, title) pairs of the training log, or those of `derive_pairs`.
        catalogue: all titles, repetitions allowed.
        settings: of the model and its training.
        show_progress: whether to show a progress bar.
        device: torch device.

    Raises:
        UserError: no pair has both a negative title and a negative query.
    """
    table = PairTable.from_pairs(pairs, catalogue)
    _require_negatives(table)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        tokenizer = TextTokenizer.train([*table.titles, *table.queries], settings.vocab_size)
        model = TitleModel(settings, tokenizer, device)
    queries, titles = _Texts(model, table.queries), _Texts(model, table.titles)
    generator = torch.Generator().manual_seed(settings.seed)
    miner = NegativeMiner(table, settings.mined, settings.seed)
    optimizer = torch.optim.Adam(model.network.parameters(), lr=settings.learning_rate)
    steps = -(-len(table) // settings.batch_size)
    with tqdm(total=settings.epochs * steps, desc="title model", unit="step", disable=not show_progress) as bar:
        for epoch in range(settings.epochs):
            if epoch >= settings.mining_start_epoch:
                miner.refresh(model.encode(table.queries), model.encode(table.titles))
            for rows in torch.randperm(len(table), generator=generator).split(settings.batch_size):
                loss = _step_loss(queries, titles, table, miner, rows.numpy(), settings.margin)
                if loss is not None:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
                bar.update()
    return model


def _step_loss(
    query_texts: _Texts, title_texts: _Texts, table: PairTable, miner: NegativeMiner, rows: np.ndarray, margin: float
) -> Tensor | None:
    """The batch's triplet loss; None if no pair of the batch has both negatives."""
    query_ids, title_ids = table.query_ids[rows], table.title_ids[rows]
    # the texts of the batch come first, so that the first len(rows) vectors are those of the pairs
    all_queries = np.r_[query_ids, miner.hard_queries(title_ids)]
    all_titles = np.r_[title_ids, miner.hard_titles(query_ids)]
    queries, titles = query_texts.embed(all_queries), title_texts.embed(all_titles)
    query, title = queries[: len(rows)], titles[: len(rows)]
    negative_titles = ~table.is_positive(query_ids[:, None], all_titles[None, :])
    negative_queries = ~table.is_positive(all_queries[None, :], title_ids[:, None])
    usable = torch.from_numpy(negative_titles.any(axis=1) & negative_queries.any(axis=1)).to(query.device)
    if not usable.any():
        return None
    hard_title = hardest(query, titles, negative_titles)
    hard_query = hardest(title, queries, negative_queries)
    return triplet_loss(query[usable], title[usable], hard_title[usable], hard_query[usable], margin)


def _require_negatives(table: PairTable) -> None:
    other_titles = table.positives_per_query()[table.query_ids] < len(table.titles)
    other_queries = table.positives_per_title()[table.title_ids] < len(table.queries)
    if not (other_titles & other_queries).any():
        raise UserError(
            f"title model: expected pairs that differ in query and title, found {len(table)} pairs of "
            f"{len(table.queries)} queries and {len(table.titles)} titles without negatives; add users or searches"
        )
