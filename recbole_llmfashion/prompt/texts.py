"""One dataset as text models and prompts read it: cleaned titles and queries, and the fixed order that breaks ties.

It knows no model and no config, and not which rows train.
"""

from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.prompt.template import UNTITLED, neutralize


class DatasetTexts:
    """A dataset's words.

    Args:
        dataset: the whole dataset.

    Attributes:
        catalogue, log: its items and its searches.
        titles: by catalogue position; queries: by the log's query index.
        tie: [N] int64, see `data.fixed_order.tie_rank`.
    """

    def __init__(self, dataset: LLMFashionRecDataset) -> None:
        self.dataset, self.catalogue, self.log = dataset, dataset.catalogue, dataset.search_log
        # what a response says is cleaned text, so the text models read cleaned text too
        self.titles = [neutralize(title) or UNTITLED for title in self.catalogue.titles]
        self.queries = [neutralize(query) for query in self.log.queries]
        self.tie = tie_rank(self.catalogue.item_ids)
