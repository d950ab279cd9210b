"""Hyper-parameter search on the validation metric, with Ray Tune."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.tuning.objective import Job, run_trial
    from recbole_llmfashion.tuning.options import Options
    from recbole_llmfashion.tuning.plan import Plan
    from recbole_llmfashion.tuning.searcher import JournalSearcher, SearchSettings
    from recbole_llmfashion.tuning.space import Domain, Space, read_space
    from recbole_llmfashion.tuning.trial_log import Trial, TrialLog
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "objective": "Job run_trial",
            "options": "Options",
            "plan": "Plan",
            "searcher": "JournalSearcher SearchSettings",
            "space": "Domain Space read_space",
            "trial_log": "Trial TrialLog",
        },
    )

__all__ = [
    "Domain",
    "Job",
    "JournalSearcher",
    "Options",
    "Plan",
    "SearchSettings",
    "Space",
    "Trial",
    "TrialLog",
    "read_space",
    "run_trial",
]
