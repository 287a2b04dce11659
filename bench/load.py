"""A closed-loop HTTP load over loopback: a few connections, each sending its next request when it has its answer."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CONNECTIONS = 4


@dataclass(frozen=True)
class Request:
    """One HTTP request and the status it must be answered with."""

    method: str
    path: str
    body: bytes | None = None
    status: int = 200
    token: str = ""
    """What the Authorization header holds."""


@dataclass
class Measured:
    """Answers of one round: how long each took, and the round."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share was answered."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def run(
    port: int, requests: Callable[[int], Iterator[Request]], seconds: float, connections: int = CONNECTIONS
) -> Measured:
    """Send requests for a while. `requests` gives each connection, by number, an endless supply."""
    measured = Measured()
    lock = threading.Lock()
    failures: list[str] = []
    begin = time.perf_counter()
    end = begin + seconds

    def send(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        latencies = []
        for request in requests(number):
            started = time.perf_counter()
            if started >= end or failures:
                break
            headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
            if request.token:
                headers["Authorization"] = request.token
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            text = answer.read()
            latencies.append(time.perf_counter() - started)
            if answer.status != request.status:
                failures.append(f"{request.method} {request.path}: {answer.status} {text[:300]!r}")
        connection.close()
        with lock:
            measured.latencies += latencies

    threads = [threading.Thread(target=send, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    measured.seconds = time.perf_counter() - begin
    if failures:
        raise RuntimeError(failures[0])
    return measured
