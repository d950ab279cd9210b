"""QueryMemory: the user's last query answered without an LLM, as a sequential model on the same rows as every other.

    the query's products by the query-product memory, then every item by the title model on the query, else popularity

It is the part of LLMFashionRec that needs no LLM, so the gain of the LLM is the gain over this row. The model holds no
weights; of a row it reads the user and the length of the history only.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch.nn.utils.rnn import pad_sequence

from recbole_llmfashion.data.dataset import HISTORY_LENGTH
from recbole_llmfashion.model.text_rows import llmfashionrec
from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder, PerRowOrder
from recbole_llmfashion.retrieval.lists.popularity_list import popular_order
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column

LastQuery = Callable[[int, int], tuple[str | None, Sequence[int]]]
SOURCES = ("memory", "title", "popularity")


class QueryMemory(SequentialRecommender):
    """Ranks by the memory and the title model (docs/method.md, stages 1 and 3); `attach` must be called first.

    Args:
        config: RecBole's.
        dataset: the training part; its catalogue names the items, its actions make popularity.

    Attributes:
        sources: rows scored so far by the source of the list's head: the memory where it gave a product, the title
            model where there was a query but no product for it, popularity where the user had not searched.
    """

    input_type = InputType.POINTWISE
    texts_of = staticmethod(llmfashionrec)

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.tie = torch.from_numpy(dataset.catalogue.tie_rank)
        self._popular = popular_order(dataset.popularity(), self.tie)
        self.sources: Counter[str] = Counter()

    def attach(self, last_query: LastQuery, title_list: Callable[[Sequence[str]], ItemOrder]) -> None:
        """Takes what the model ranks with.

        Args:
            last_query: (user, events before the row) to the text of the user's last search, None where there is none,
                and the memory's catalogue positions for it, best first.
            title_list: b texts to orders, closest title first; not called where no user ever searched.
        """
        self.last_query, self.title_list = last_query, title_list

    def ordered(self, interaction: Any) -> ItemOrder:
        """[B, N] the catalogue positions of each row."""
        rows = (interaction[self.USER_ID].tolist(), interaction[HISTORY_LENGTH].tolist())
        answers = [self.last_query(user, length) for user, length in zip(*rows, strict=True)]
        searched = [row for row, (query, _) in enumerate(answers) if query is not None]
        has_query = torch.tensor([query is not None for query, _ in answers])
        orders: list[tuple[torch.Tensor, ItemOrder]] = [
            (~has_query, self._popular.repeat(len(answers) - len(searched)))
        ]
        if searched:
            by_title = self.title_list([str(answers[row][0]) for row in searched])
            products = [torch.tensor(answers[row][1], dtype=torch.int64) for row in searched]
            orders.append((has_query, HeadThenRest(pad_sequence(products, True, -1), by_title)))
        self.sources.update(
            memory=sum(len(answers[row][1]) > 0 for row in searched),
            title=sum(len(answers[row][1]) == 0 for row in searched),
            popularity=len(answers) - len(searched),
        )
        return PerRowOrder(orders)

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] finite, strictly ordered scores by RecBole's internal id."""
        order = self.ordered(interaction)
        return with_pad_column(scores_from_order(order.top(order.shape[1]))).to(interaction[self.USER_ID].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)

    def source_shares(self) -> dict[str, float]:
        """`sources` as shares of the rows."""
        total = max(1, sum(self.sources.values()))
        return {name: self.sources[name] / total for name in SOURCES}
