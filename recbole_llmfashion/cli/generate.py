"""The command `generate`: responses of a run's LLM to every row of a split, by many workers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tqdm import tqdm

from recbole_llmfashion.cli.options import ConfigFiles, KeysCommand, config_paths, folder_option, keys_of
from recbole_llmfashion.cli.terminal import announce_loading, log_level
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.batch.request import SPLITS, GenerateRequest

if TYPE_CHECKING:
    from recbole_llmfashion.config.configurator import LLMFashionConfig
    from recbole_llmfashion.pipeline.load import LoadedRun
    from recbole_llmfashion.pipeline.manifest import Manifest
    from recbole_llmfashion.prompt.response import Response
    from recbole_llmfashion.serving.batch.prompts import SplitPrompts

MODEL = "LLMFashionRec"
OUT = "results/{dataset}-{split}-responses"


def register(app: typer.Typer) -> None:
    """Adds `generate` to the command line."""
    app.command("generate", cls=KeysCommand)(generate)


def generate(
    context: typer.Context,
    run: Annotated[
        Path, typer.Option("--run", metavar="DIR", help="a run folder, `run` in results.json, or an exported")
    ],
    split: Annotated[str, typer.Option("--split", metavar="|".join(SPLITS), help="which rows")] = SPLITS[0],
    num_workers: Annotated[int, typer.Option("--num_workers", min=0, help="Ray workers; 0: this process, no Ray")] = 1,
    out: Annotated[Path | None, folder_option("--out", "folder of the shards")] = None,
    address: Annotated[str | None, typer.Option("--address", metavar="HOST:PORT", help="a running Ray cluster")] = None,
    cpus_per_worker: Annotated[int, typer.Option("--cpus_per_worker", min=1, help="cores of a worker")] = 1,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option("--gpus_per_worker", min=0, help="GPUs of a worker; one where there is one"),
    ] = None,
    shard_size: Annotated[int, typer.Option("--shard_size", min=1, help="most prompts in a shard")] = 1024,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", metavar="NAME", help="default: the run's")] = None,
    config_files: ConfigFiles = None,
) -> None:
    """Generate a run's responses to every row of a split, with many workers (docs/scale.md)."""
    if split not in SPLITS:
        raise UserError(f"--split: expected one of {', '.join(SPLITS)}, found '{split}'")
    request = GenerateRequest(
        run=run,
        split=split,
        workers=num_workers,
        out=out,
        address=address,
        cpus=cpus_per_worker,
        gpus=gpus_per_worker,
        shard_size=shard_size,
        dataset=dataset,
        config_files=tuple(config_paths(config_files)),
        overrides=keys_of(context),
    )
    write_responses(request)


def check(request: GenerateRequest) -> None:
    """Finds what can be known to be wrong without a model, before RecBole is imported.

    Raises:
        UserError: no run folder, an unknown key or dataset, a missing file.
    """
    from recbole_llmfashion.config.layers import merge_layers
    from recbole_llmfashion.data.location import find_dataset
    from recbole_llmfashion.files.changes import check_writable
    from recbole_llmfashion.pipeline.manifest import read_manifest
    from recbole_llmfashion.quick_start.registry import accepted_models

    manifest = read_manifest(request.run)
    content = manifest.content
    dataset = request.dataset or str(content["dataset"])
    keys = merge_layers(MODEL, dataset, request.config_files, request.overrides, accepted_models(MODEL))
    if "data_path" not in request.overrides:
        keys |= data_folder(manifest, dataset)
    find_dataset(Path(keys["data_path"]) / dataset, dataset)
    check_writable(request.out or Path(OUT.format(dataset=dataset, split=request.split)), "--out")


def data_folder(manifest: "Manifest", dataset: str) -> dict[str, str]:
    """The key data_path as local.json of the run has it, or as runs of earlier versions do, if the data is there."""
    given = manifest.local.get("data_path") or manifest.content.get("keys", {}).get("data_path")
    return {"data_path": str(given)} if given and (Path(str(given)) / dataset).is_dir() else {}


def write_responses(request: GenerateRequest) -> None:
    """Generates the responses that are missing, shard by shard."""
    check(request)
    announce_loading()

    from recbole_llmfashion.files.changes import own_folder
    from recbole_llmfashion.pipeline.load import load_run
    from recbole_llmfashion.serving.batch.prompts import build_prompts
    from recbole_llmfashion.serving.batch.shards import ResponseShards

    run = load_run(request.run, model=False)
    config = rows_config(run.manifest, request)
    log_level(str(config["state"]))
    prompts = build_prompts(run, config, request.split, request.shard_size)
    out = request.out or Path(OUT.format(dataset=config["dataset"], split=request.split))
    job = {"run": run.manifest.digest, "dataset": config["dataset"], "split": request.split}
    with own_folder(out, "--out"):
        shards = ResponseShards(out, job, prompts, run.pool.catalogue.item_ids)
        missing = shards.missing()
        if len(missing) < prompts.shards:
            typer.echo(f"{prompts.shards - len(missing)} of {prompts.shards} shards were there", err=True)
        if missing:
            show = bool(config["show_progress"])
            for shard, responses in tqdm(
                _responses(request, run, prompts, missing), desc="shards", total=len(missing), disable=not show
            ):
                shards.write(shard, responses)
    typer.echo(f"{len(prompts.users)} rows, {len(prompts.prompts)} prompts, {prompts.shards} shards")
    typer.echo(f"written: {out}")


def rows_config(manifest: "Manifest", request: GenerateRequest) -> "LLMFashionConfig":
    """The config by which the main job read the rows: the run's keys, then the command's files and keys."""
    from recbole_llmfashion.config.configurator import load_config
    from recbole_llmfashion.config.dict_keys import merge_keys
    from recbole_llmfashion.config.keys import todays_names
    from recbole_llmfashion.config.yaml_files import read_yaml
    from recbole_llmfashion.pipeline.manifest import LOCAL
    from recbole_llmfashion.quick_start.registry import accepted_models, get_model

    dataset = request.dataset or str(manifest.content["dataset"])
    layers = [("the run's keys", todays_names(manifest.content.get("keys", {})))]
    layers += [(LOCAL, data_folder(manifest, dataset))]
    layers += [(file, read_yaml(Path(file))) for file in request.config_files]
    keys = merge_keys([*layers, ("command line", request.overrides)])
    return load_config(get_model(MODEL).model, dataset, (), keys, accepted_models(MODEL))


def _responses(
    request: GenerateRequest, run: "LoadedRun", prompts: "SplitPrompts", missing: Sequence[int]
) -> "Iterator[tuple[int, list[Response]]]":
    folder, jobs = request.run.absolute(), [(shard, prompts.prompts_of(shard)) for shard in missing]
    if not request.workers:
        from recbole_llmfashion.serving.batch.responder import BatchWorker

        with _threads():
            worker = BatchWorker(str(folder), prompts.prefix_length, request.cpus)
            yield from ((shard, worker.answer(shard, rows)) for shard, rows in jobs)
        return
    from recbole_llmfashion.distributed.cluster import OBJECT_STORE, cluster
    from recbole_llmfashion.serving.batch.actors import answers

    size = sum(prompt.nbytes for _, rows in jobs for prompt in rows)
    parts = [part for name in run.manifest.content["parts"] if (part := run.manifest.part(name)) is not None]
    folders = [part.absolute() for part in parts]
    cores, store = request.workers * request.cpus, OBJECT_STORE + 2 * size
    with cluster(request.address, cores, folders=folders, object_store=store):
        yield from answers(folder, jobs, prompts.prefix_length, request.workers, request.cpus, request.gpus)


@contextmanager
def _threads() -> Iterator[None]:
    """Restores the number of PyTorch's threads."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
