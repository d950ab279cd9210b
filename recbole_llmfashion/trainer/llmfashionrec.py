"""The method's stages in order, each loaded from the stage store where it exists (paper, Figure 2).

    clip -> memory -> prompts -> adapter -> title model -> ID model -> responses -> weights of the lists

`fit` runs the stages; `evaluate` encodes and answers the rows that it is given, once, and ranks them by every setting
that the result reports. The stages are in pipeline/; the evaluation loop is RecBole's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders, make_loaders, rows_of, sample_rows, sampler_of
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.evaluation.collector import HeadCollector, Ordered, Scores, history_rows
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.seq_knn import SeqKNN
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.pipeline.pipeline import Pipeline, llm_config, make_pipeline
from recbole_llmfashion.pipeline.save import write_run
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader, check_responses
from recbole_llmfashion.retrieval.fusion_weights import MOST_ROWS, Candidates
from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.ranking import FUSED, GROUPS, Ranking, RankingSettings
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.staged import StagedTrainer, ValidCallback

# The mixups that the result reports on validation, as (mixup_m, first position of the title list): both readings of
# "positions m to K", counted from 0 and from 1 (docs/method.md, stage 3).
MIXUP_REPORTED = {f"{m}": (m, m) for m in (1, 2, 3)} | {f"{m}, start 0": (m, 0) for m in (1, 2, 3)}
# Rankings that the result reports beside the run's own, which shows what each list is worth alone.
REPORTED_BESIDE: dict[Ranking, tuple[Ranking, ...]] = {
    "beams": ("id", "title", "mixup"),
    "fusion": ("id", "title", "beams", "mixup"),
}
_LISTS_ALONE: tuple[Ranking, ...] = ("id", "title")


class LLMFashionRecTrainer(StagedTrainer):
    """RecBole's Trainer for LLMFashionRec.

    Attributes:
        pipeline: the stages.
        metrics_beside: metrics by name of the other settings that the last evaluation ranked by.
    """

    pipeline: Pipeline
    model: LLMFashionRec
    responds = True  # whether an LLM answers the prompts
    fused: tuple[str, ...] = FUSED  # the lists that get weights

    def __init__(self, config: LLMFashionConfig, model: Any) -> None:
        super().__init__(config, model)
        self.metrics_beside: dict[str, dict[str, float]] = {}
        self._mixup_validation: dict[str, dict[str, float]] = {}
        self._fusion_validation: dict[str, dict[str, Any]] = {}
        self._beside: dict[str, tuple[RankingSettings, HeadCollector]] = {}

    @staticmethod
    def needs_id_model(config: LLMFashionConfig) -> bool:
        """See StagedTrainer; in zero-shot no ID model has seen the items."""
        return not config["source_dataset"]

    @property
    def tuned_as(self) -> str:
        """See StagedTrainer."""
        return "LLMFashionRec"

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """Checks values, the source dataset and the backbone, before hours of other stages."""
        StagedTrainer.validate_config(config)
        answering = llm_config(config)
        settings.validate_config(answering)
        settings.validate_attributes(answering["prompt_attributes"], config)
        LanguageModel.validate_config(answering)

    @staticmethod
    def validate_rows(config: LLMFashionConfig) -> None:
        """Checks that some training row gives a prompt."""
        answering = llm_config(config)
        if answering["response_events"] == "purchase":
            check_responses(make_loaders(answering).train)

    def set_data(self, loaders: Loaders, store: StageStore, id_model: Callable[[], Any]) -> None:
        """Builds the pipeline; the model ranks by the pipeline's config, which in zero-shot is the source's."""
        if self.responds and self.config["response_events"] == "purchase" and not self.config["source_dataset"]:
            check_responses(loaders.train)
        super().set_data(loaders, store, id_model)
        self._loaders = loaders
        knn_history = self.config.sibling(SeqKNN)["knn_history"]
        self.pipeline = make_pipeline(self.config, loaders.dataset, store, id_model, knn_history, self.track)
        self.model.configure(self.pipeline.config)

    def fit(
        self, train_data: Any, valid_data: Any = None, callback_fn: ValidCallback | None = None, **kwargs: Any
    ) -> tuple[float, Mapping[str, float]]:
        """Runs every stage, then validates where the pipeline may; `callback_fn` gets each step of REPORTED."""
        self.pipeline.read_images()
        valid_data = valid_data if self.pipeline.validates else None
        reported = self._report_loader(valid_data) if callback_fn is not None and valid_data is not None else None
        for step in self._train(train_data, valid_data):
            if reported is not None:
                self._attach()
                self.eval_collector.data_collect(train_data)
                self._report(callback_fn, step, self._valid_epoch(reported)[0])
        self._attach()  # not before: the ID model may be in training in another process until now
        if self.model.ranking_settings().ranking == "fusion" and valid_data is not None and len(rows_of(valid_data)):
            self._choose_weights(valid_data)
        score, result = super().fit(train_data, valid_data, callback_fn)
        self._mixup_validation = self.metrics_beside if valid_data is not None else {}
        for name, metrics in self._mixup_validation.items():
            getLogger(__name__).info(f"validation with mixup_m {name}: {metrics}")
        return score, result

    def _attach(self) -> None:
        self.model.attach(self.pipeline.rankers, self.pipeline.inference.response_cache)

    def _train(self, train_data: Any, valid_data: Any) -> Iterator[str]:
        """The steps of the LLM's training."""
        return self.pipeline.train(train_data, valid_data)

    def _choose_weights(self, valid_data: Any) -> None:
        """Chooses the lists' weights by NDCG@10 on MOST_ROWS validation rows, for each group of rows separately."""
        self.pipeline.answer(valid_data)
        rows = rows_of(valid_data)
        users = rows.field2id_token[rows.uid_field][1:]  # without the pad
        halves = torch.from_numpy(np.r_[0, tie_rank([str(user) for user in users]) % 2])
        candidates: Candidates | None = None
        for interaction, history, _, targets in _fusion_batches(valid_data):
            lists = self.model.lists(interaction)
            heads = lists.heads(self.fused)
            candidates = candidates or Candidates(list(heads), GROUPS)
            groups = torch.where(lists.context.known, GROUPS.index("known"), GROUPS.index("new"))
            masked = history_rows(history, len(targets))
            candidates.add(heads, targets - 1, groups, halves[interaction[rows.uid_field]], masked)
        assert candidates is not None
        chosen = candidates.choose()
        self.model.weights, self._fusion_validation = chosen.weights, chosen.report
        getLogger(__name__).info(f"fusion: weights {chosen.weights}; NDCG@10 of both halves {chosen.report}")

    def _report_loader(self, valid_data: Any) -> Any:
        """A loader of the validation rows of tune_report_users users, the same in every run; None without rows."""
        if not len(rows_of(valid_data)):
            return None
        rows = sample_rows(valid_data, self.config["tune_report_users"])
        part = rows_of(valid_data).copy(rows_of(valid_data).inter_feat[rows])
        return type(valid_data)(self.config, part, sampler_of(valid_data))

    def evaluate(self, eval_data: Any, load_best_model: bool = False, **kwargs: Any) -> Mapping[str, float]:
        """RecBole's evaluation; prompts and responses come from their stage, each row's prompt is encoded once.

        The rows are also ranked by the other settings that the result reports; see `metrics_beside`.
        """
        self.pipeline.answer(eval_data)
        self.model.stats = ResponseStats()
        self._beside = {name: (how, self._collector()) for name, how in self._settings_beside(eval_data).items()}
        result = super().evaluate(eval_data, load_best_model=False, **kwargs)
        self.metrics_beside = {
            name: {metric: float(value) for metric, value in self.evaluator.evaluate(one.get_data_struct()).items()}
            for name, (_, one) in self._beside.items()
        }
        self._beside = {}
        if eval_data is self._loaders.test:
            eval_data.forget()
        return result

    def _settings_beside(self, eval_data: Any) -> dict[str, RankingSettings]:
        """What the result reports of the test rows beside the run's ranking, and of the validation rows by mixup."""
        ranking = self.model.ranking_settings().ranking
        if eval_data is self._loaders.test:
            names = REPORTED_BESIDE.get(ranking, _LISTS_ALONE)
            # without beams the list of the beams would be the title list under another name
            answering = self.pipeline.config
            beams = answering["num_beams"] and answering["decoding"] == "constrained"
            names = tuple(name for name in names if name != "beams" or beams)
            return {name: self.model.ranking_settings(ranking=name) for name in names}
        if eval_data is self._loaders.valid and ranking == "mixup" and len(rows_of(eval_data)):
            settings = self.model.ranking_settings
            return {name: settings(m=m, title_start=start) for name, (m, start) in MIXUP_REPORTED.items()}
        return {}

    def _collector(self) -> HeadCollector:
        collector = HeadCollector(self.config, self._loaders.dataset.catalogue.tie_rank)
        collector.data_collect(self._loaders.train)
        return collector

    def _full_sort_batch_eval(self, batched_data: Any) -> Any:
        """RecBole's hook: one batch, its lists computed once and joined by every setting."""
        interaction, history, users, targets = batched_data
        interaction = interaction.to(self.device)
        lists = self.model.lists(interaction)
        for how, collector in self._beside.values():
            scores = self._scores(lists.rank(how).final, history, len(interaction))
            collector.eval_batch_collect(scores, interaction, users, targets)
        final = self.model.ranked(interaction, lists).final
        return interaction, self._scores(final, history, len(interaction)), users, targets

    def _scores(self, order: ItemOrder, history: Any, rows: int) -> Scores:
        """The order itself where metrics read heads and ranks only, else scores as RecBole masks them."""
        if self.eval_collector.heads_alone:
            return Ordered(order, history_rows(history, rows), self.model.tie)
        scores = with_pad_column(scores_from_order(order.top(order.shape[1]))).to(self.device)
        scores[:, 0] = -torch.inf
        if history is not None:
            scores[history] = -torch.inf
        return scores

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """The other rankings of the test rows, the responses' counts, and what the stages measured."""
        generation = dict(self.model.stats.rates()) | self.pipeline.report
        lists = {
            name: {metric.lower(): value for metric, value in metrics.items()}
            for name, metrics in self.metrics_beside.items()
        }
        return {
            "lists": lists,
            "generation": generation,
            "mixup_validation": self._mixup_validation,
            **self.pipeline.trained.llm.seen(),
            **self._fusion_details(),
            **self.pipeline.details,
        }

    def _fusion_details(self) -> dict[str, Any]:
        """The weights of `ranking: fusion`, and what they were chosen by where there were validation rows."""
        if self.model.ranking_settings().ranking != "fusion":
            return {}
        chosen = {"fusion_validation": self._fusion_validation} if self._fusion_validation else {}
        return {"fusion": self.model.weights, **chosen}

    def save_run(self, runs: Path, about: Mapping[str, Any]) -> Path | None:
        """Writes the run folder (pipeline/save.py)."""
        ranking, mask = self.model.ranking_settings(), self.config["mask_history"]
        chosen = {"fusion_validation": self._fusion_validation} if self._fusion_validation else {}
        return write_run(runs, self.config["dataset"], self.pipeline, ranking, mask, {**about, **chosen})


def _fusion_batches(valid_data: LLMFashionRecDataLoader) -> Iterable[Any]:
    """The batches of a loader's rows or, where they are more than MOST_ROWS, of as many, the same in every run."""
    rows = len(rows_of(valid_data))
    if rows <= MOST_ROWS:
        return valid_data
    getLogger(__name__).info(f"fusion: weights are chosen on {MOST_ROWS:,} of {rows:,} validation rows")
    return valid_data.batches(sample_rows(valid_data, MOST_ROWS))
