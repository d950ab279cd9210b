"""Prometheus metrics of one web process; they start at 0 when it starts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from recbole_llmfashion.serving.messages import BatchReply

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of requests, served items and batch sizes."""

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
            "sessions in the same batch of the LLM, observed once per session",
            buckets=BATCHES,
            registry=self._registry,
        )
        self._items = Counter(
            "llmfashion_items", "served items by the list they came from", ["list"], registry=self._registry
        )
        self._left_out = Counter(
            "llmfashion_left_out", "session actions left out, reordered or shortened", ["why"], registry=self._registry
        )

    def started(self) -> None:
        """Counts an arriving request."""
        self._inside.inc()

    def finished(self, path: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        self._inside.dec()
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def served(self, reply: BatchReply) -> None:
        """Counts the items of a returned list."""
        self._batch.observe(reply.batch_size)
        for line in reply.response.lines:
            self._items.labels(line.list).inc()
        for why, count in reply.response.left_out.items():
            self._left_out.labels(why).inc(count)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
