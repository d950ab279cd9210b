"""The method's stages in order, each from the stage store where it is already there (paper, Figure 2).

    CORE -> title model -> clip -> memory -> prompts -> adapter -> responses -> weights of the lists -> lists

`LLMFashionRecTrainer` is RecBole's Trainer with one hook filled: `fit` runs the stages, `evaluate` makes sure that the
rows it is given have their prompts and responses. What the stages do lives in learned.py and asked.py, which dataset's
they are in pipeline.py and zero_shot.py; how a model is scored is RecBole's.
"""

from collections.abc import Callable, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.pipeline.pipeline import Pipeline, ZeroShot, answering_config, make_pipeline
from recbole_llmfashion.pipeline.save import write_run
from recbole_llmfashion.retrieval.fusion import Candidates
from recbole_llmfashion.retrieval.ranking import FUSED, GROUPS, Ranking
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.staged import StagedTrainer, ValidCallback

MIXUP_REPORTED = (1, 2, 3)  # docs/method.md, stage 3: report these on validation
# the lists of which an ordinary row tells how good they are without the others, beside the ID and the title list
ALONE: dict[Ranking, tuple[Ranking, ...]] = {"beams": ("mixup",), "fusion": ("beams", "mixup"), "mixup": ()}


class LLMFashionRecTrainer(StagedTrainer):
    """RecBole's Trainer for LLMFashionRec.

    Attributes:
        pipeline: the stages; set by `set_data`.
    """

    pipeline: Pipeline | ZeroShot
    model: LLMFashionRec

    @property
    def tuned_as(self) -> str:
        """See StagedTrainer."""
        return "LLMFashionRec"

    def set_data(self, loaders: Loaders, store: StageStore, core_table: Callable[[], Any]) -> None:
        """Builds the pipeline; its config, in zero-shot the source's, is also how the model joins its lists."""
        self.pipeline = make_pipeline(self.config, loaders.dataset, store, core_table)
        self.model.configure(self.pipeline.config)

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """Both lists alone, the answers' validity, and what the stages measured."""
        generation = dict(self.model.validity.rates()) | self.pipeline.report
        alone: tuple[Ranking, ...] = ("id", "title", *ALONE.get(self.model.ranking, ()))
        lists = {
            name: {key.lower(): float(value) for key, value in self.evaluate_list(loaders.test, name).items()}
            for name in alone
        }
        mixups = self.validate_mixup(loaders.valid) if self.pipeline.validates else {}
        fusion = {"fusion": self.model.weights} if self.model.ranking == "fusion" else {}
        return {"lists": lists, "generation": generation, "mixup_validation": mixups, **fusion, **self.pipeline.details}

    def save_run(self, runs: Path, about: Mapping[str, Any]) -> Path:
        """Writes the run folder (run_folder.py)."""
        return write_run(
            runs, self.config["dataset"], self.pipeline, self.model.mixing, self.config["mask_history"], about
        )

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """Values without meaning, and a source or a backbone that is not there, before hours of other stages."""
        StagedTrainer.validate_config(config)
        answering = answering_config(config)
        settings.validate_config(answering)
        LanguageModel.validate_config(answering)

    def fit(
        self, train_data: Any, valid_data: Any = None, callback_fn: ValidCallback | None = None, **kwargs: Any
    ) -> tuple[float, Mapping[str, float]]:
        """Runs every stage, then validates where the pipeline may; `callback_fn` hears of each step of REPORTED."""
        self.model.parts = self.pipeline.lists()
        valid_data = valid_data if self.pipeline.validates else None
        some = self._some_users(valid_data) if callback_fn is not None and valid_data is not None else None
        for step in self.pipeline.learn(train_data):
            self.model.parts.answer = self.pipeline.response_cache
            if some is not None:
                self.eval_collector.data_collect(train_data)
                self._report(callback_fn, step, self._valid_epoch(some)[0])
        if self.model.ranking == "fusion" and valid_data is not None and len(valid_data._dataset):
            self._weigh(valid_data)
        return super().fit(train_data, valid_data, callback_fn)

    def _weigh(self, valid_data: Any) -> None:
        """Chooses the lists' weights by NDCG@10 of the validation rows, for each group of rows by itself."""
        self.pipeline.answer(valid_data)
        names = FUSED if self.model.parts.session_list is not None else [name for name in FUSED if name != "session"]
        found = {group: Candidates(names) for group in GROUPS}
        for interaction, _, _, targets in valid_data:
            ranked = self.model.ranked(interaction)
            assert ranked.known is not None
            for group, rows in (("known", ranked.known), ("new", ~ranked.known)):
                found[group].add({name: ranked.lists[name][rows] for name in names}, targets[rows] - 1)
        chosen = {group: candidates.best_weights() for group, candidates in found.items()}
        self.model.weights = {group: weights for group, (weights, _) in chosen.items()}
        said = {group: f"NDCG@10 {chosen[group][1]:.4f} on {len(found[group])} rows" for group in GROUPS}
        getLogger(__name__).info(f"fusion: weights {self.model.weights}; {said}")

    def _some_users(self, valid_data: Any) -> Any:
        """A loader of the validation rows of tune_report_users users, the same in every run, or None."""
        count = len(valid_data._dataset)
        if not count:
            return None
        users = valid_data._dataset.inter_feat[self.config["USER_ID_FIELD"]].numpy()
        order = tie_rank(valid_data._dataset.id2token(self.config["USER_ID_FIELD"], users).tolist())
        rows = np.sort(np.argsort(order)[: self.config["tune_report_users"]])
        part = valid_data._dataset.copy(valid_data._dataset.inter_feat[rows])
        return type(valid_data)(self.config, part, valid_data._sampler)

    def validate_mixup(self, valid_data: Any) -> dict[str, dict[str, float]]:
        """Metrics by mixup_m, 1 to 3, on the validation rows; empty where there is none, or no mixup."""
        if not len(valid_data._dataset) or self.model.ranking != "mixup":
            return {}
        chosen = self.model.mixup_m
        table = {}
        for m in MIXUP_REPORTED:
            self.model.mixup_m = m
            table[str(m)] = {name: float(value) for name, value in self._valid_epoch(valid_data)[1].items()}
            getLogger(__name__).info(f"validation with mixup_m {m}: {table[str(m)]}")
        self.model.mixup_m = chosen
        return table

    def evaluate(self, eval_data: Any, load_best_model: bool = False, **kwargs: Any) -> Mapping[str, float]:
        """RecBole's evaluation of the current `ranking`; prompts and responses come from their stage."""
        self.pipeline.answer(eval_data)
        self.model.validity = ResponseStats()
        return super().evaluate(eval_data, load_best_model=False, **kwargs)

    def evaluate_list(self, eval_data: Any, ranking: Ranking) -> Mapping[str, float]:
        """RecBole's evaluation of one list alone."""
        chosen, self.model.ranking = self.model.ranking, ranking
        try:
            return self.evaluate(eval_data)
        finally:
            self.model.ranking = chosen
