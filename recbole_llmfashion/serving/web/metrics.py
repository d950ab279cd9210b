"""What the service counts, in Prometheus' text format. Counts belong to one web process and start at 0 with it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from recbole_llmfashion.serving.messages import BatchReply

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one web process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "llmfashion_requests", "requests by path and status", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "llmfashion_request_seconds", "time to an answer", ["path"], buckets=SECONDS, registry=self._registry
        )
        self._inside = Gauge("llmfashion_requests_inside", "requests not answered yet", registry=self._registry)
        self._batch = Histogram(
            "llmfashion_batch_sessions",
            "sessions that the LLM answered together, counted once for each",
            buckets=BATCHES,
            registry=self._registry,
        )
        self._items = Counter(
            "llmfashion_items", "items served by the list that gave them", ["list"], registry=self._registry
        )
        self._left_out = Counter(
            "llmfashion_left_out", "actions left out of a session or put in order", ["why"], registry=self._registry
        )

    def entered(self) -> None:
        """A request came in."""
        self._inside.inc()

    def left(self, path: str, status: int, seconds: float) -> None:
        """It was answered."""
        self._inside.dec()
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def answered(self, answer: BatchReply) -> None:
        """A list went out."""
        self._batch.observe(answer.batch)
        for line in answer.listed.lines:
            self._items.labels(line.list).inc()
        for why, count in answer.listed.left_out.items():
            self._left_out.labels(why).inc(count)

    def text(self) -> bytes:
        """All of it, as a scraper reads it."""
        return generate_latest(self._registry)
