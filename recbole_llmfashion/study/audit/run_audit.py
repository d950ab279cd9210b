"""Audits a run folder: what of its training data can be read from it, asked of it or guessed with it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from recbole_llmfashion.data.atomic.canaries import Planted
from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.load import LoadedRun, load_run
from recbole_llmfashion.pipeline.manifest import Manifest
from recbole_llmfashion.serving.state import ServingState
from recbole_llmfashion.study.audit.findings import Extraction, Findings, KeptQueries, Membership
from recbole_llmfashion.study.audit.material import Material, check_products
from recbole_llmfashion.study.audit.measures import contents, extraction, membership
from recbole_llmfashion.study.audit.measures.lists import list_exposures
from recbole_llmfashion.study.audit.measures.modes import CanaryModes
from recbole_llmfashion.study.audit.measures.sessions import Prompts
from recbole_llmfashion.study.audit.measures.training_log import TrainingLog, keys_of_run

NOW = 1_700_000_000.0  # of searches, where there is no data to take a time from
LEVELS = (2, 5)  # the defaults of a run folder and of an export
NO_DATA = "the training data is not on this machine; name its folder with --dataset"


@dataclass(frozen=True)
class AuditSettings:
    """How much is asked.

    Args:
        users: customers of each group, at most.
        texts: queries and titles of each group, at most.
        samples: sampled responses to each canary's query.
        seed: of all draws.
        show_progress: whether to show progress bars.
    """

    users: int = 200
    texts: int = 200
    samples: int = 32
    seed: int = 1
    show_progress: bool = True


def audit(manifest: Manifest, material: Material, settings: AuditSettings) -> Findings:
    """Measures what the material allows, and names the rest.

    Args:
        manifest: of the run.
        material: as `find_material` returns it.
        settings: see AuditSettings.

    Raises:
        UserError: the run cannot be loaded, or does not know the canaries.
    """
    run = load_run(manifest.folder)
    log = None if material.folder is None else _log(manifest, material.folder)
    if material.planted is not None:
        check_products(material.planted, set(run.pool.positions), manifest)
    searches = material.folder.searches if material.folder is not None else None
    now = NOW if searches is None or searches.empty else float(np.median(searches["timestamp"]))
    states = dict(_states(run, manifest))
    prompts = Prompts(states[min(states)], now)
    findings = Findings(contents.count(manifest), _kept(manifest, log, sorted(states)))
    _canaries(findings, manifest, material.planted, prompts, states, settings)
    _extraction(findings, log, material, prompts, settings)
    _membership(findings, log, material, prompts, states, settings)
    return findings


def _states(run: LoadedRun, manifest: Manifest) -> Iterator[tuple[int, ServingState]]:
    """The run as it is, and with memories of fewer queries; the LLM is loaded once."""
    own = int(manifest.content.get("memory", {}).get("min_askers", 1))
    for level in sorted({own, *LEVELS}):
        if level == own:
            yield level, ServingState(run, run.pool, run.item_tokens)
        elif level > own:
            other = replace(load_run(manifest.folder, model=False, min_askers=level), model=run.model)
            yield level, ServingState(other, other.pool, other.item_tokens)


def _log(manifest: Manifest, folder: AtomicFolder, **changed: object) -> TrainingLog:
    """What the run trained on, of its own data; of other customers, what it would have trained on.

    Args:
        changed: keys that are not those of the run.
    """
    given = manifest.content.get("keys", {})
    return TrainingLog.of(folder, keys_of_run(given, folder.name, folder.path.parent) | changed)


def _kept(manifest: Manifest, log: TrainingLog | None, levels: list[int]) -> list[KeptQueries]:
    askers = contents.memory_queries(manifest)
    training = extraction.training_queries(log) if log is not None else set()
    kept = []
    for level in levels:
        queries = {query for query, number in askers.items() if number >= level or level == min(levels)}
        share = len(queries & training) / len(training) if training else None
        kept.append(KeptQueries(level, len(queries), share))
    return kept


def _canaries(
    findings: Findings,
    manifest: Manifest,
    planted: Planted | None,
    prompts: Prompts,
    states: dict[int, ServingState],
    settings: AuditSettings,
) -> None:
    if planted is None:
        findings.missing["canaries"] = (
            "no canaries.json; train on a dataset of `audit --plant`, or name the file with --canaries"
        )
        return
    findings.numbers = [one.count for one in planted.canaries]
    findings.candidates = len(planted.candidates) + 1
    findings.held = [] if planted.pairs else contents.held(manifest, planted.canaries)
    modes = CanaryModes(prompts, planted, settings.samples, settings.seed, settings.show_progress)
    findings.exposures = modes.measure()
    for level, state in states.items():
        findings.lists += list_exposures(state, planted, prompts.now, level)


def _extraction(
    findings: Findings, log: TrainingLog | None, material: Material, prompts: Prompts, settings: AuditSettings
) -> None:
    if material.folder is None or log is None:
        findings.missing["extraction"] = findings.missing["ids of customers"] = NO_DATA
        return
    findings.of_customers = contents.files_with(
        prompts.state.run.manifest, sorted(set(material.folder.interactions["user_id"]))
    )
    show = settings.show_progress
    texts = extraction.query_texts(log, material.folder, material.held_out).sample(settings.texts, settings.seed)
    if texts.training and texts.others:
        shares = [extraction.said_queries(prompts, group, show) for group in (texts.training, texts.others)]
        findings.extraction.append(Extraction("queries", *shares))
    else:
        findings.missing["extraction of queries"] = "the data has no searches in training rows, or none in other rows"
    items = extraction.title_items(log, material.folder).sample(settings.texts, settings.seed)
    if items.training and items.others:
        shares = [extraction.said_titles(prompts, group, show) for group in (items.training, items.others)]
        findings.extraction.append(Extraction("titles", *shares))
    else:
        findings.missing["extraction of titles"] = "each product of the catalogue is in a row"


def _membership(
    findings: Findings,
    log: TrainingLog | None,
    material: Material,
    prompts: Prompts,
    states: dict[int, ServingState],
    settings: AuditSettings,
) -> None:
    if log is None or material.folder is None or material.held_out is None:
        reason = NO_DATA if material.folder is None else "no customers who were left out; name them with --held_out"
        findings.missing["membership"] = reason
        return
    without = material.planted.items if material.planted is not None else set()
    state, folders = prompts.state, (material.folder, material.held_out)
    if shared := set(folders[0].interactions["user_id"]) & set(folders[1].interactions["user_id"]):
        raise UserError(f"--held_out: {min(shared)} is in the training data too; give customers who are not")
    logs = log, _log(prompts.state.run.manifest, material.held_out, train_share=1.0)
    rows = [membership.last_rows(one, state, settings.users, settings.seed, without) for one in logs]
    if not all(rows):
        findings.missing["membership"] = "no customer has a training row of known products"
        return
    sizes = len(rows[0]), len(rows[1])
    losses = [membership.losses(prompts, group, settings.show_progress) for group in rows]
    findings.membership.append(Membership("loss of the LLM", membership.auc(*losses), *sizes))
    for level, one in states.items():
        ranks = [membership.ranks(one, group) for group in rows]
        by = f"rank in the list, min_askers {level}"
        findings.membership.append(Membership(by, membership.auc(*ranks), *sizes))
