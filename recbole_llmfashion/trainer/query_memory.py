"""The trainer of QueryMemory, which takes the text stages of the LLMFashionRec row of the same run.

It needs the CLIP tower, the memory and the title model, so no tokenizer, backbone or adapter is loaded or trained.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.query_memory import QueryMemory
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.pipeline import Pipeline, own_pipeline
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.staged import StagedTrainer


class QueryMemoryTrainer(StagedTrainer):
    """RecBole's Trainer for QueryMemory.

    Attributes:
        pipeline: the stages, by the keys of LLMFashionRec; set by `set_data`.
    """

    pipeline: Pipeline
    model: QueryMemory

    @property
    def tuned_as(self) -> str:
        """The memory's keys are those of LLMFashionRec."""
        return "LLMFashionRec"

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """Raises UserError on keys of LLMFashionRec without meaning, before any model is trained."""
        StagedTrainer.validate_config(config)
        settings.validate_config(config.sibling(LLMFashionRec))

    def set_data(self, loaders: Loaders, store: StageStore, id_model: Callable[[], Any]) -> None:
        """Makes the stages, or loads those of the LLMFashionRec row; a log without searches needs none."""
        super().set_data(loaders, store, id_model)
        dataset, config = loaders.dataset, self.config.sibling(LLMFashionRec)
        self.pipeline = own_pipeline(config, dataset, store, id_model)
        products = config["memory_products"]
        log, memory, queries = dataset.search_log, self.pipeline.memory, self.pipeline.inference.texts.queries

        def last_query(user: int, length: int) -> tuple[str | None, Sequence[int]]:
            last = dataset.timeline.events(user, length).last_search()
            if last < 0:
                return None, ()
            query = queries[log.query_index[last]]
            return query, memory.top_products(query)[:products] if memory is not None else ()

        self.model.attach(last_query, self.pipeline.inference.title_list() if len(log) else _no_title_list)

    def evaluate(self, eval_data: Any, load_best_model: bool = False, **kwargs: Any) -> Mapping[str, float]:
        """RecBole's evaluation; the sources of the rows are counted from zero."""
        self.model.sources = Counter()
        return super().evaluate(eval_data, load_best_model=False, **kwargs)

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """`sources`: the share of test rows that each source ranks first; and the origin of the text models."""
        return {"sources": self.model.source_shares()} | self.pipeline.report


def _no_title_list(queries: Sequence[str]) -> Any:
    raise AssertionError(f"{len(queries)} queries of a log without searches")
