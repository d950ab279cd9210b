"""Training steps with and without `cpu.allocator.keep_freed_memory`: processor time, page faults, peak memory.

    python benchmarks/allocator.py [--items 12000] [--targets 750] [--steps 12] [--rounds 3]

A step is the softmax of SASRecSampled over all items: scores of every target, cross-entropy and gradients, one thread.
Each side runs in a process of its own, in turn. The losses are asserted to be equal. The last line is
`ratio <number>`: processor seconds without over those with it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from resource import RUSAGE_SELF, getrusage
from time import process_time

WIDTH = 64


def run(items: int, targets: int, steps: int, keep: bool) -> dict[str, float]:
    """A side: processor milliseconds and page faults per step, peak MB, and the last loss."""
    from recbole_llmfashion.cpu.allocator import keep_freed_memory

    if keep and not keep_freed_memory():
        raise SystemExit("malloc of this system has no mallopt: nothing to compare")
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = torch.randn(items, WIDTH).mul_(0.1).requires_grad_()
    states, wanted = torch.randn(targets, WIDTH), torch.randint(items, (targets,))
    loss = torch.zeros(())
    for step in range(steps + 1):
        if step == 1:  # the first one is not counted
            start, faults = process_time(), getrusage(RUSAGE_SELF).ru_minflt
        table.grad = None
        loss = cross_entropy(states @ table.T, wanted)
        loss.backward()
    used = getrusage(RUSAGE_SELF)
    return {
        "ms": (process_time() - start) / steps * 1000,
        "faults": (used.ru_minflt - faults) / steps,
        "mb": used.ru_maxrss / 1024,
        "loss": loss.item(),
    }


def main() -> None:
    """Prints a line per side and round and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--targets", type=int, default=750, help="targets per step (default: 750)")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("default", "keep"), help="run one side and print it as JSON")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(run(options.items, options.targets, options.steps, options.side == "keep")))
        return
    ratios = []
    for _ in range(options.rounds):
        sides = {}
        for side in ("default", "keep"):
            command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            sides[side] = json.loads(done.stdout)
            print("{side}: {ms:.0f} CPU ms and {faults:,.0f} page faults per step, peak {mb:,.0f} MB".format(
                side=side, **sides[side]), flush=True)  # fmt: skip
        assert sides["default"]["loss"] == sides["keep"]["loss"], "the losses differ"
        ratios.append(sides["default"]["ms"] / sides["keep"]["ms"])
    print(f"ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
