"""Breaks one line of the package at a time and runs the tests of its area: each mutant must make a test fail.

    python tools/mutants.py                 all mutants, in the order of MUTANTS
    python tools/mutants.py --only memory   those whose file or note has the word

Each mutant is applied to a copy of the package, so the working tree does not change. A mutant that no test notices
"survives", and the exit status is 1. A line that is not found once is an error: update the table with the code.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "recbole_llmfashion"


@dataclass(frozen=True)
class Mutant:
    """A broken line.

    Args:
        file: module below the package.
        line: text that occurs once in it.
        broken: its replacement.
        tests: arguments of pytest.
        note: what is broken.
    """

    file: str
    line: str
    broken: str
    tests: tuple[str, ...]
    note: str


MUTANTS = (
    Mutant(
        "data/dataset.py",
        "np.isin(codes, (split.TRAIN, split.NO_ROW))",
        "np.isin(codes, (split.TRAIN, split.NO_ROW, split.VALID))",
        ("tests/data/test_dataset.py", "-k", "click_filter"),
        "click_filter: train counts validation purchases",
    ),
    Mutant(
        "data/split.py",
        "return purchase | ~np.isin(pair, purchased)",
        "return ~np.isin(pair, purchased)",
        ("tests/data/test_split.py",),
        "the click filter drops purchases",
    ),
    Mutant(
        "prompt/memory.py",
        "self._encode, self._neighbors, self._products, self._tie = encode, neighbors, products, tie_rank",
        "self._encode, self._neighbors, self._products, self._tie = encode, 1, products, tie_rank",
        ("tests/prompt/test_memory.py",),
        "memory_neighbors is ignored",
    ),
    Mutant(
        "prompt/memory.py",
        "keep = self._search[rows] != leave_out",
        "keep = self._search[rows] == self._search[rows]",
        ("tests/prompt/test_memory.py",),
        "a training prompt's own search stays in the memory",
    ),
    Mutant(
        "prompt/template.py",
        "an attribute that varies among them shows",
        "the attributes show",
        ("tests/prompt/test_template.py",),
        "the paper's template lacks the comparison rule (C2)",
    ),
    Mutant(
        "prompt/template.py",
        "instruction=_full_instruction(_MEMORY_REQUIREMENT)",
        "instruction=_full_instruction()",
        ("tests/prompt/test_template.py",),
        "the paper's template lacks the search rule (C4)",
    ),
    Mutant(
        "prompt/builder.py",
        "instruction = self._instructions[bool(lines)]",
        "instruction = self._instructions[True]",
        ("tests/test_paper_form.py",),
        "a prompt without the memory's products mentions them",
    ),
    Mutant(
        "embedding/title_model.py",
        "negative_titles = ~table.is_positive(query_ids[:, None], all_titles[None, :])",
        "negative_titles = np.ones((len(rows), len(all_titles)), bool)",
        ("tests/embedding/test_title_model.py", "-k", "negatives"),
        "positives are allowed as hard negatives",
    ),
    Mutant(
        "embedding/title_model.py",
        "if epoch >= settings.mining_start_epoch:",
        "if epoch < 0:",
        ("tests/embedding/test_title_model.py", "-k", "mined"),
        "hard negatives come from the batch only",
    ),
    Mutant(
        "llm/generation/beam_search.py",
        "if not bool((live.any(2) | level.ended).all()):",
        "if False:",
        ("tests/llm/generation/test_beam_search.py", "-k", "allowed_token"),
        "a beam without an allowed token ends silently",
    ),
    Mutant(
        "llm/generation/generator.py",
        'return f"{id_text} {titles[item]}"',
        'return f"{id_text} {titles[item - 1]}"',
        ("tests/llm/generation/test_beam_search.py", "-k", "title_of"),
        "a response has another item's title",
    ),
    Mutant(
        "llm/generation/item_trie.py",
        "best, column = scores.max(1)",
        "best, column = logits.gather(1, self.tokens[edges].long()).max(1)",
        ("tests/llm/generation/test_item_trie.py", "tests/llm/generation/test_greedy_search.py"),
        "greedy decoding ignores the constraint",
    ),
    Mutant(
        "llm/modeling/adapter.py",
        "lora_alpha=lora_alpha,",
        "lora_alpha=16,",
        ("tests/llm/finetuning/test_finetune.py", "-k", "reach"),
        "lora_alpha is ignored",
    ),
    Mutant(
        "llm/modeling/adapter.py",
        "lora_dropout=lora_dropout,",
        "lora_dropout=0.05,",
        ("tests/llm/finetuning/test_finetune.py", "-k", "reach"),
        "lora_dropout is ignored",
    ),
    Mutant(
        "llm/finetuning/optimizer.py",
        '{"params": matrices, "weight_decay": weight_decay}',
        '{"params": matrices, "weight_decay": 0.0}',
        ("tests/llm/finetuning/test_finetune.py", "-k", "reach"),
        "weight decay is ignored",
    ),
    Mutant(
        "trainer/recbole_models.py",
        '["item_embedding.weight"][1:].numpy()',
        '["item_embedding.weight"][:-1].numpy()',
        ("tests/trainer/test_recbole_models.py", "-k", "core_table"),
        "CORE's table is shifted by one row",
    ),
    Mutant(
        "trainer/llmfashionrec.py",
        '(("known", ranked.known), ("new", ~ranked.known))',
        '(("new", ranked.known), ("known", ~ranked.known))',
        ("tests/trainer/test_llmfashionrec.py", "-k", "group_of_rows"),
        "the fusion's groups are swapped when weights are chosen",
    ),
    Mutant(
        "retrieval/mixup.py",
        "by_id.rows(both).top(m)",
        "by_id.rows(both).top(m + 1)",
        ("tests/retrieval/test_mixup.py",),
        "mixup takes one item too many from the ID list",
    ),
    Mutant(
        "retrieval/fusion.py",
        "terms = weights[name] / (CONSTANT + 1 +",
        "terms = weights[name] / (CONSTANT + 2 +",
        ("tests/retrieval/test_fusion.py",),
        "ranks of the fusion start at two",
    ),
)


def apply(mutant: Mutant, tree: Path) -> None:
    """Writes the broken line into a copy of the package.

    Raises:
        SystemExit: the line does not occur exactly once.
    """
    path = tree / PACKAGE / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.line) != 1:
        raise SystemExit(f"{mutant.file}: expected the line once, found {text.count(mutant.line)}: {mutant.line}")
    path.write_text(text.replace(mutant.line, mutant.broken), encoding="utf-8")


def copy_tree(tree: Path) -> None:
    """A copy of the package, with links to everything else that tests read."""
    shutil.copytree(ROOT / PACKAGE, tree / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.name != PACKAGE and not path.name.startswith(".") and path.name != "tests":
            (tree / path.name).symlink_to(path)
    shutil.copytree(ROOT / "tests", tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))


def survives(mutant: Mutant) -> bool:
    """Whether the tests pass with the broken line.

    Raises:
        SystemExit: pytest could not run the tests.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_tree(tree)
        apply(mutant, tree)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *mutant.tests]
        environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{mutant.file}: pytest ended with status {done.returncode}:\n{done.stdout[-2000:]}")
    return done.returncode == 0


def main() -> int:
    """Runs the mutants, prints a line for each, and returns 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="word of the file or the note")
    word = parser.parse_args().only
    chosen = [mutant for mutant in MUTANTS if word in mutant.file or word in mutant.note]
    survivors = 0
    for mutant in chosen:
        alive = survives(mutant)
        survivors += alive
        print(f"{'SURVIVES' if alive else 'killed  '} {mutant.file}: {mutant.note}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return int(survivors > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())
