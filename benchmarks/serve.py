"""The service under 1, 8 and 32 clients on the loopback, with batches and without.

    python benchmarks/serve.py --run saved/footwear/runs/0123456789abcdef [--requests 128] [--batch 16]

Every client asks, waits for its list and asks again; the sessions are drawn with a fixed seed from the run's items and
each is another one. Both sides answer the same sessions and give the same lists, which is asserted. Run nothing beside
it. The last line is `ratio <number>`: requests/s with batches over requests/s without, at 32 clients.
"""

import argparse
import http.client
import json
import os
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ray import serve

from recbole_llmfashion.manifest import read_manifest
from recbole_llmfashion.run_folder import OWN
from recbole_llmfashion.serve import app
from recbole_llmfashion.tuning.cluster import cluster

CLIENTS = (1, 8, 32)
Body = dict[str, Any]


def sessions(run: Path, count: int) -> list[Body]:
    """Three clicks and a search by the words of a title."""
    own = read_manifest(run).part(OWN)
    assert own is not None
    items = pd.read_parquet(own / "catalogue.parquet")
    draw = random.Random(0)
    made = []
    for _ in range(count):
        rows = [items.iloc[draw.randrange(len(items))] for _ in range(4)]
        clicks = [{"action": "click", "item_id": row["item_id"], "timestamp": i} for i, row in enumerate(rows[:3])]
        made.append({"actions": [*clicks, {"action": "search", "query": rows[3]["title"], "timestamp": 5}]})
    return made


def ask(port: int, bodies: list[Body]) -> list[tuple[float, Any]]:
    """One client: seconds and list of each request, one after another."""
    found = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    for body in bodies:
        start = time.perf_counter()
        connection.request("POST", "/recommend", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, (response.status, text)
        found.append((time.perf_counter() - start, json.loads(text)["items"]))
    return found


def measure(port: int, clients: int, bodies: list[Body]) -> tuple[float, np.ndarray, list[Any]]:
    """Requests/s, seconds of each, lists in the order of the bodies."""
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(lambda i: ask(port, bodies[i::clients]), range(clients)))
    spent = time.perf_counter() - start
    lists: list[Any] = [None] * len(bodies)
    for i, part in enumerate(parts):
        lists[i::clients] = [answer for _, answer in part]
    return len(bodies) / spent, np.asarray([seconds for part in parts for seconds, _ in part]), lists


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def main() -> None:
    """Prints a line for each number of clients, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=128, help="for each number of clients")
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    bodies, port = sessions(options.run, options.requests), free_port()
    rates, lists = {}, {}
    with cluster(None, num_cpus=max(2, os.cpu_count() or 2)):
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        for batch in (options.batch, 1):
            keys = {"run": options.run, "batch": batch, "queue": 1000, "timeout": 600}
            serve.run(app({name: str(value) for name, value in keys.items()}))
            measure(port, 1, bodies[:2])  # the first requests load what is loaded on demand
            for clients in CLIENTS:
                rate, seconds, lists[batch, clients] = measure(port, clients, bodies)
                rates[batch, clients] = rate
                p50, p99 = np.percentile(seconds, [50, 99])
                figures = f"{rate:.1f} requests/s, p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
                print(f"batch {batch}, {clients} clients: {figures}", flush=True)
        serve.shutdown()
    assert all(found == lists[1, 1] for found in lists.values())
    print(f"ratio {rates[options.batch, CLIENTS[-1]] / rates[1, CLIENTS[-1]]:.2f}")


if __name__ == "__main__":
    main()
