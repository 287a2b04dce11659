"""Limits: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.access.limits import Limit
from fhir_server.rest.access import weight_of


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 6_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(store: Any, clock: Clock) -> Any:
    return lambda weight: Limit(store.database, "client", weight, clock)


def test_what_is_left_is_told_and_beyond_it_is_refused_until_the_minute_is_over(make: Any, clock: Clock) -> None:
    limit = make(100)
    clock.at += 15
    first = limit.spend("a", 40)
    assert first.headers == [("RateLimit-Policy", '"client";q=100;w=60'), ("RateLimit", '"client";r=60;t=45')]
    assert not limit.spend("a", 60).exceeded
    refused = limit.spend("a", 1)
    assert refused.exceeded
    assert refused.headers[1:] == [("RateLimit", '"client";r=0;t=45'), ("Retry-After", "45")]
    assert not limit.spend("b", 100).exceeded
    clock.at += 45
    assert not limit.spend("a", 100).exceeded


def test_several_processes_share_one_limit_and_none_grants_beyond_it(make: Any) -> None:
    workers = [make(500) for _ in range(4)]
    granted = []

    def work(worker: Limit) -> None:
        for _ in range(200):
            if not worker.spend("a", 1).exceeded:
                granted.append(1)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 500


def test_a_portion_is_taken_from_mongodb_once_for_many_requests(make: Any, store: Any, mongod_uri: str) -> None:
    limit = make(5_000)
    for _ in range(250):
        assert not limit.spend("a", 1).exceeded
    (spending,) = store.database["smart_spending"].find()
    assert spending["taken"] == 300  # portions of 100: three writes for 250 requests


def test_once_it_is_used_up_mongodb_is_not_asked_again(make: Any, store: Any) -> None:
    limit = make(10)
    limit.spend("a", 10)
    limit.spend("a", 1)
    taken = store.database["smart_spending"].find_one()["taken"]
    for _ in range(50):
        assert limit.spend("a", 1).exceeded
    assert store.database["smart_spending"].find_one()["taken"] == taken


def test_a_request_that_weighs_more_than_the_limit_takes_all_of_it(make: Any) -> None:
    limit = make(10)
    assert not limit.spend("a", 1_000).exceeded
    assert limit.spend("a", 1).exceeded


def test_addresses_are_not_written_down(make: Any, store: Any) -> None:
    make(10).spend("203.0.113.7", 1)
    assert "203.0.113.7" not in repr(list(store.database["smart_spending"].find()))


@given(st.lists(st.integers(1, 12), max_size=60))
def test_the_sum_of_what_is_granted_never_exceeds_the_limit(weights: list[int]) -> None:
    counts: dict[str, int] = {}

    class Counted(Limit):
        def _fill(self, purse: Any, caller: str, minute: int, asked: int) -> None:
            counts[caller] = counts.get(caller, 0) + asked
            purse.own += max(0, min(asked, self.weight - (counts[caller] - asked)))
            purse.shared = max(0, self.weight - counts[caller])

    workers = [Counted(None, "client", 100, lambda: 60.0) for _ in range(3)]
    granted = sum(w for at, w in enumerate(weights) if not workers[at % 3].spend("a", w).exceeded)
    assert granted <= 100


@pytest.mark.parametrize(
    ("endpoint", "length", "weight"),
    [
        ("fhir.GET /<type>/<id>", 0, 1),
        ("fhir.GET /<type>/<id>/_history/<version>", 0, 1),
        ("fhir.PUT /<type>/<id>", 0, 2),
        ("fhir.POST /<type>", 0, 2),
        ("fhir.DELETE /<type>", 0, 2),
        ("fhir.GET /<type>", 0, 5),
        ("fhir.GET /", 0, 5),
        ("fhir.POST /<type>/_search", 0, 5),
        ("fhir.POST /_search", 0, 5),
        ("fhir.GET /<type>/<id>/_history", 0, 5),
        ("fhir.GET /<compartment>/<id>/<type>", 0, 5),
        ("fhir.GET /<compartment>/<id>/*", 0, 10),
        ("fhir.GET /<type>/<id>/$<operation>", 0, 10),
        ("fhir.POST /", 0, 10),
        ("fhir.POST /", 2_000_000, 110),
        ("", 0, 2),
    ],
)
def test_what_costs_more_weighs_more(endpoint: str, length: int, weight: int) -> None:
    assert weight_of(endpoint, length) == weight
