"""Runs or resumes the studies of docs/results that are missing or stale, and rewrites its pages.

    python benchmarks/results.py                     every page of benchmarks/results.yaml that is not today's
    python benchmarks/results.py --check             print the state of each page and run nothing
    python benchmarks/results.py --only luggage_bags-compare --hours 2 --data_path DIR

A page is stale where a row's stage has another name today: other keys, another engine or other data. Rows are stages,
so a killed study goes on with the same command. Each row is also written to docs/results/rows, without the tokens of
users and items, and read from there on another machine; rows of another engine are removed. Where no page is stale
nothing runs. Each page is written as soon as its study has ended, then leaderboard.json, claims.md and the list in
README.md. The last line counts the pages. The status is 0 if all pages are today's, and 1 if not.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.pages.listed import Page, read_pages
from recbole_llmfashion.study.pages.publish import ROWS, publish, remove_stale_rows, rewrite_overviews
from recbole_llmfashion.study.pages.state import CURRENT, page_state
from recbole_llmfashion.study.pages.status import run_to_report

ROOT = Path(__file__).parents[1]
LISTED, PAGES = ROOT / "benchmarks/results.yaml", ROOT / "docs/results"
CONSOLE = str(Path(sys.executable).with_name("recbole-llmfashion"))
PLACES = ("data_path", "checkpoint_dir")
WITH_LISTS = ("time-split",)  # reads the lists of each row, which row files do not have


def chosen(pages: Sequence[Page], only: str) -> list[Page]:
    """The pages whose names are in a list, or all.

    Raises:
        UserError: no page has one of the names.
    """
    names = [name for name in only.split(",") if name]
    if unknown := [name for name in names if name not in {page.name for page in pages}]:
        raise UserError(f"--only: no page '{unknown[0]}'; `--check` lists the names")
    return [page for page in pages if not names or page.name in names]


def commit_of(root: Path) -> str:
    """The commit of a checkout, with `+` where the package or properties/ differ from it; empty without git."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    if head.returncode:
        return ""
    code = ["git", "status", "--porcelain", "--", "recbole_llmfashion", "properties"]
    changed = subprocess.run(code, cwd=root, capture_output=True, text=True).stdout.strip()
    return head.stdout.strip() + ("+" if changed else "")


def from_root(path: Path) -> Path:
    """A path as a page may name it: below the checkout without the folders above, else as it is."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def run_study(page: Page, output: Path, places: Sequence[str], seconds: float) -> int | None:
    """Runs a study, whose finished rows are reused; its status, or None where the time was over.

    Args:
        output: its folder.
        places: options for folders.
        seconds: until it is stopped; its next run goes on.
    """
    words = [CONSOLE, *page.command, f"--output={from_root(output)}", *places]
    print(f"== {page.name}: {' '.join(words[1:])}", flush=True)
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=os.name == "posix")
    try:
        return process.wait(seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as stop:
        process.send_signal(signal.SIGINT)
        process.wait()
        if isinstance(stop, KeyboardInterrupt):
            raise
        return None


def states(pages: Sequence[Page], root: Path, data_path: Path) -> dict[str, str]:
    """The state of each page by name, printed."""
    found = {page.name: page_state(page, root / page.name, data_path) for page in pages}
    width = max(map(len, found), default=0)
    for name, state in found.items():
        print(f"{name:<{width}}  {state}", flush=True)
    return found


def update(pages: Sequence[Page], options: argparse.Namespace) -> int:
    """Runs what is not today's, and returns how many pages are not when the time is over."""
    end = time.monotonic() + 3600 * options.hours
    places = [f"--{name}={from_root(getattr(options, name))}" for name in PLACES]
    rows = f"--rows_path={from_root(options.pages.absolute() / ROWS)}"
    found = states(pages, options.pages, options.data_path)
    left = [page for page in pages if found[page.name] != CURRENT]
    commit = commit_of(ROOT)
    for page in list(left):
        if time.monotonic() >= end:
            print(f"the time is over, {len(left)} pages are left; the same command goes on")
            break
        output = options.out / page.name
        kept = [] if page.study in WITH_LISTS else [rows]
        run = partial(run_study, page, output, [*places, *kept], end - time.monotonic())
        status = run_to_report(run, output / "results.json")
        if status is None:
            continue
        if status:
            print(f"{page.name}: the study ended with status {status}; its page stays as it is")
            continue
        publish(output, options.pages / page.name, commit)
        rewrite_overviews(options.pages, options.listed)
        left.remove(page)
    return len(left)


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit status; 2 with one line for an error of the user."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="print the state of each page and run nothing")
    parser.add_argument("--only", default="", metavar="NAMES", help="pages, separated by commas")
    parser.add_argument("--hours", type=float, default=1e6, metavar="H", help="stop after this time")
    parser.add_argument("--data_path", type=Path, default=Path("dataset"), help="folder of the datasets")
    parser.add_argument("--checkpoint_dir", type=Path, default=Path("saved"), help="folder of the stages")
    parser.add_argument("--out", type=Path, default=Path("results/pages"), help="folder of the studies' outputs")
    parser.add_argument("--list", type=Path, default=LISTED, metavar="FILE", help="the list of pages")
    parser.add_argument("--pages", type=Path, default=PAGES, metavar="DIR", help="where pages are written")
    options = parser.parse_args(words)
    options.out, options.data_path, options.checkpoint_dir = (
        path.absolute() for path in (options.out, options.data_path, options.checkpoint_dir)
    )
    try:
        options.listed = read_pages(options.list)
        pages = chosen(options.listed, options.only)
        if options.check:
            left = sum(state != CURRENT for state in states(pages, options.pages, options.data_path).values())
        else:
            for name in remove_stale_rows(options.pages / ROWS):
                print(f"removed: {name} is of another engine")
            left = update(pages, options)
            for name in rewrite_overviews(options.pages, options.listed):
                print(f"written: {options.pages / name}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(pages) - left} of {len(pages)} pages are today's")
    return int(bool(left))


if __name__ == "__main__":
    raise SystemExit(main())
