"""The HTTP service with 1, 8 and 32 clients on the loopback interface, with and without dynamic batching.

    python benchmarks/serve.py --run saved/footwear/runs/0123456789abcdef [--rounds 3] [--batch 16]

Each client sends a request, waits for its list and sends the next one. Sessions are distinct and drawn with a fixed
seed from the items of the run. Both services run side by side and are measured in turns, so other load affects both;
their lists must be equal, which is asserted. "in batches of" is the mean size of the batch that a session was
processed in. The last line is `ratio <number>`: requests/s with batching over requests/s without, at 32 clients.
"""

import argparse
import http.client
import json
import os
import random
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pandas as pd
from ray import serve

from recbole_llmfashion.distributed.cluster import cluster
from recbole_llmfashion.pipeline.manifest import OWN, read_manifest
from recbole_llmfashion.serving.web.app import app

CLIENTS = (1, 8, 32)
Body = dict[str, Any]


def sessions(run: Path, count: int) -> list[Body]:
    """Three clicks and a search by the words of a title."""
    own = read_manifest(run).part(OWN)
    assert own is not None
    items = pd.read_parquet(own / "catalogue.parquet")
    draw = random.Random(0)
    bodies = []
    for _ in range(count):
        rows = [items.iloc[draw.randrange(len(items))] for _ in range(4)]
        clicks = [{"action": "click", "item_id": row["item_id"], "timestamp": i} for i, row in enumerate(rows[:3])]
        bodies.append({"actions": [*clicks, {"action": "search", "query": rows[3]["title"], "timestamp": 5}]})
    return bodies


@dataclass
class Figures:
    """Measurements of one side at one number of clients, over all rounds."""

    spent: float = 0.0
    seconds: list[float] = field(default_factory=list)
    batches: float = 0.0

    def rate(self) -> float:
        """Requests/s."""
        return len(self.seconds) / self.spent

    def line(self) -> str:
        """The printed line."""
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1000
        mean = self.batches / len(self.seconds)
        return f"{self.rate():.1f} requests/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, in batches of {mean:.1f}"


def ask(port: int, side: str, bodies: list[Body]) -> list[tuple[float, Any]]:
    """One client: seconds and list of each request, sent one after another."""
    results = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    for body in bodies:
        start = time.perf_counter()
        connection.request("POST", f"{side}/recommend", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, (response.status, text)
        results.append((time.perf_counter() - start, json.loads(text)["items"]))
    return results


def batches(port: int, side: str) -> float:
    """The sum of the batch sizes of all sessions so far."""
    with urlopen(f"http://127.0.0.1:{port}{side}/metrics") as page:
        (found,) = re.findall(r"^llmfashion_batch_sessions_sum (\S+)", page.read().decode(), re.M)
    return float(found)


def measure(port: int, side: str, clients: int, bodies: list[Body], figures: Figures) -> list[Any]:
    """Runs one round, adds it to the figures and returns the lists in the order of the bodies."""
    before, start = batches(port, side), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(lambda i: ask(port, side, bodies[i::clients]), range(clients)))
    figures.spent += time.perf_counter() - start
    figures.batches += batches(port, side) - before
    figures.seconds += [seconds for part in parts for seconds, _ in part]
    lists: list[Any] = [None] * len(bodies)
    for i, part in enumerate(parts):
        lists[i::clients] = [answer for _, answer in part]
    return lists


def free_port() -> int:
    """A free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def main() -> None:
    """Prints one line per side and number of clients, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=128, help="of a round")
    parser.add_argument("--rounds", type=int, default=3, help="for each number of clients")
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    bodies, port = sessions(options.run, options.requests), free_port()
    sides = {"/batched": options.batch, "/single": 1}
    with cluster(None, num_cpus=max(2, os.cpu_count() or 2)):
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        for side, batch in sides.items():
            keys = {"run": options.run, "batch": batch, "queue": 1000, "timeout": 600}
            serve.run(app({name: str(value) for name, value in keys.items()}), name=side[1:], route_prefix=side)
        warm = {side: measure(port, side, 1, bodies, Figures()) for side in sides}
        assert warm["/batched"] == warm["/single"]
        for clients in CLIENTS:
            found = {side: Figures() for side in sides}
            for _ in range(options.rounds):
                for side, figures in found.items():
                    assert measure(port, side, clients, bodies, figures) == warm["/single"]
            for side, batch in sides.items():
                print(f"batch {batch}, {clients} clients: {found[side].line()}", flush=True)
        serve.shutdown()
    print(f"ratio {found['/batched'].rate() / found['/single'].rate():.2f}")


if __name__ == "__main__":
    main()
