"""Figures of the service in the text format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

PATHS = frozenset({"/", "/score", "/score/batch", "/health", "/metrics"})
BUCKETS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120)  # seconds


class Metrics:
    """Counters of one service.

    Attributes:
        seconds: of a request per picture, waiting included.
        pictures: by outcome: ok or failed.
        admitted: requests that wait or are scored.
        restarts: processes that took the place of one that ended.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "rsfiqa_requests",
            "Requests by path and HTTP status.",
            ("path", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "rsfiqa_picture_seconds",
            "Time of a picture, waiting included.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.pictures = Counter(
            "rsfiqa_pictures", "Pictures by outcome.", ("outcome",), registry=self.registry
        )
        self.admitted = Gauge(
            "rsfiqa_requests_admitted",
            "Requests that wait or are scored.",
            registry=self.registry,
        )
        self.restarts = Gauge(
            "rsfiqa_process_restarts",
            "Processes that took the place of one that ended.",
            registry=self.registry,
        )

    def count(self, path: str, status: int) -> None:
        """Count a request; unknown paths are one, so that nobody can add labels."""
        self._requests.labels(path if path in PATHS else "other", str(status)).inc()

    def text(self) -> bytes:
        """All figures."""
        return generate_latest(self.registry)
