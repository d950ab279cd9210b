"""The command `generate`: rows, prompts, workers, shards. Holds none of their work."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import typer
from tqdm import tqdm

from recbole_llmfashion.cli.terminal import log_level
from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.config.dict_keys import merge_keys
from recbole_llmfashion.config.keys import todays_names
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.pipeline.load import LoadedRun, load_run
from recbole_llmfashion.pipeline.manifest import Manifest
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.quick_start.registry import accepted_models, get_model
from recbole_llmfashion.serving.batch.prompts import SplitPrompts, build_prompts
from recbole_llmfashion.serving.batch.request import GenerateRequest, parse
from recbole_llmfashion.serving.batch.responder import BatchWorker
from recbole_llmfashion.serving.batch.shards import ResponseShards

MODEL = "LLMFashionRec"
OUT = "results/{dataset}-{split}-responses"


def register(app: typer.Typer) -> None:
    """Adds `generate`; keys of the rows are those of properties/, so typer passes its words on unread."""
    app.command(
        "generate",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        help="Responses of a run's LLM to every row of a split, by many workers (docs/scale.md).",
    )(_generate)


def _generate(context: typer.Context) -> None:
    request = parse(context.args)
    run = load_run(request.run, model=False)
    config = rows_config(run.manifest, request)
    find_dataset(Path(config["data_path"]), config["dataset"])
    log_level(str(config["state"]))
    questions = build_prompts(run, config, request.split, request.shard_size)
    out = request.out or Path(OUT.format(dataset=config["dataset"], split=request.split))
    job = {"run": run.manifest.content["sha256"], "dataset": config["dataset"], "split": request.split}
    shards = ResponseShards(out, job, questions, run.pool.catalogue.item_ids)
    missing = shards.missing()
    if len(missing) < questions.shards:
        typer.echo(f"{questions.shards - len(missing)} of {questions.shards} shards were there", err=True)
    if missing:
        show = bool(config["show_progress"])
        for shard, responses in tqdm(
            _answers(request, run, questions, missing), desc="shards", total=len(missing), disable=not show
        ):
            shards.write(shard, responses)
    typer.echo(f"{len(questions.users)} rows, {len(questions.prompts)} prompts, {questions.shards} shards")
    typer.echo(f"written: {out}")


def rows_config(manifest: Manifest, request: GenerateRequest) -> LLMFashionConfig:
    """The config by which the main job read the rows: what the run was given, then the command's files and keys."""
    layers = [("the run's keys", todays_names(manifest.content.get("keys", {})))]
    layers += [(file, read_yaml(Path(file))) for file in request.config_files]
    keys = merge_keys([*layers, ("command line", request.overrides)])
    dataset = request.dataset or str(manifest.content["dataset"])
    return load_config(get_model(MODEL).model, dataset, (), keys, accepted_models(MODEL))


def _answers(
    request: GenerateRequest, run: LoadedRun, questions: SplitPrompts, missing: Sequence[int]
) -> Iterator[tuple[int, list[Response]]]:
    folder, asked = request.run.absolute(), [(shard, questions.prompts_of(shard)) for shard in missing]
    if not request.workers:
        with _threads():
            responder = BatchWorker(str(folder), questions.begun, request.cpus)
            yield from ((shard, responder.answer(shard, prompts)) for shard, prompts in asked)
        return
    # Ray takes seconds to import, and one process needs none of it
    from recbole_llmfashion.distributed.cluster import OBJECT_STORE, cluster
    from recbole_llmfashion.serving.batch.actors import answers

    size = sum(prompt.nbytes for _, prompts in asked for prompt in prompts)
    parts = [part for name in run.manifest.content["parts"] if (part := run.manifest.part(name)) is not None]
    folders = [part.absolute() for part in parts]
    cores, store = request.workers * request.cpus, OBJECT_STORE + 2 * size
    with cluster(request.address, cores, folders=folders, object_store=store):
        yield from answers(folder, asked, questions.begun, request.workers, request.cpus, request.gpus)


@contextmanager
def _threads() -> Iterator[None]:
    """What PyTorch computes with stays as it was."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
