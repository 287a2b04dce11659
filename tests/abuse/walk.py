"""A random walk of patient A through everything the server answers, to find a byte of patient B.

Every request is sent to two servers, where B leads two different lives: A must not see a difference either.
`python -m tests.abuse.walk 20000 [seed]` walks that far on databases of its own.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Flask

from fhir_server.access.context import AccessContext
from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.repository import Repository
from fhir_server.rest import access
from fhir_server.store.mongod import Mongod
from fhir_server.store.records import Store
from tests.abuse.crossed import SECRET, A
from tests.abuse.questions import OF_ALL, REFUSED, Question, Questions
from tests.abuse.tangled import OWN, fill_tangled

# Moments, new ids and signatures: all that may differ between two answers.
_MADE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_PASSING = (
    _MADE,
    re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)"),
    re.compile(r"_cursor=[^&\"]*"),
    # A file in a batch, which tells its own moment; asked for alone it is compared as text.
    re.compile(r'(?<="contentType":"application/xml","data":")[^"]*'),
)
# What A's prescription contains; B's holds one of the same id, and the mark in it.
_CONTAINED = "Medication/m"
_HEADERS = ("Content-Type", "ETag", "Location", "Allow")
LINKS = 40


class Walk:
    """One walker at two servers. Raises AssertionError with the request that told something of B."""

    def __init__(self, apps: tuple[Flask, Flask], seed: int) -> None:
        self._clients = tuple(each.test_client() for each in apps)
        self._random = random.Random(seed)
        self._links: list[tuple[str, ...]] = []
        self._followed: tuple[str, ...] = ()
        self._questions = Questions(seed, self._follow)
        self.statuses: Counter[int] = Counter()
        self.asked: Counter[str] = Counter()
        self.given: Counter[str] = Counter()
        """Where an answer is from -> how often it held a record of A's."""

    def go(self, steps: int) -> None:
        """Send so many requests."""
        for number in range(steps):
            name, question = self._questions.next()
            addresses = self._followed if name == "link" else (question.url,) * 2
            told = f"step {number}, {name}: {question.method} {question.url} {question.body or ''}"
            answers = [
                client.open(
                    address,
                    method=question.method,
                    data=None if question.body is None else json.dumps(question.body),
                    content_type="application/fhir+json",
                    headers=dict(question.headers),
                )
                for client, address in zip(self._clients, addresses, strict=True)
            ]
            for each in answers:
                self._look(question, each, told)
            here, there = (_essence(each) for each in answers)
            assert here == there, f"{told}: another life of B makes a difference"
            self.statuses[answers[0].status_code] += 1
            self.asked[name] += 1
            found = [json.loads(each.text) if each.text.startswith("{") else {} for each in answers]
            self.given[name] += any(_address(each) in OWN for each in _resources(found[0]))
            self._remember(found)

    def _look(self, question: Question, answer: Any, told: str) -> None:
        """Nothing that an answer holds is B's, both's or nobody's."""
        status, text = answer.status_code, answer.text
        told = f"{told} -> {status}"
        assert status < 500, told
        assert status not in (202, 410), told
        assert SECRET not in text.lower() + str(answer.headers).lower(), told
        assert "enFzZWNyZXQ" not in text, told
        if _is_refused(question.url):
            assert status >= 400, told
        if not text.startswith("{"):
            return
        try:
            found = json.loads(text)
        except ValueError:
            raise AssertionError(f"{told}: no JSON: {text[:300]}") from None
        for each in _resources(found):
            # What the server makes for one answer has a new id or none; everything that is stored here has another one.
            if not _MADE.fullmatch(each.get("id", "")) and "id" in each:
                assert _address(each) in (*OWN, _CONTAINED), f"{told}: {_address(each)}"
        # Counted in contained resources too, of which A has one.
        assert found.get("total", 0) <= len(OWN) + 1, told
        if question.body and question.body["resourceType"] == "Bundle" and found["resourceType"] == "Bundle":
            for asked, entry in zip(question.body["entry"], found["entry"], strict=True):
                status = entry.get("response", {}).get("status", "200")
                assert not status.startswith("410"), told
                if _is_refused(asked["request"]["url"]):
                    assert status.startswith("4"), told

    def _remember(self, found: list[Any]) -> None:
        """The paging links of both answers, which only differ in their signature."""
        several = zip(*(each.get("link", ()) for each in found), strict=True) if "link" in found[0] else ()
        for links in several:
            if links[0]["relation"] in ("next", "previous", "self"):
                parts = [urlsplit(each["url"]) for each in links]
                self._links = [*self._links[-LINKS:], tuple(f"{each.path}?{each.query}" for each in parts)]

    def _follow(self) -> Question | None:
        if not self._links:
            return None
        paged = [each for each in self._links if "_cursor=" in each[0]]
        self._followed = self._random.choice(paged or self._links)
        return Question("GET", self._followed[0])


def _is_refused(url: str) -> bool:
    """Whether a request asks for what no patient may ask for."""
    parts = urlsplit(url)
    if parts.path.rpartition("/")[2] in OF_ALL:
        return True
    if "$" in parts.path or "_history" in parts.path:
        return False
    names = {re.split(r"[.:]", name)[-1] for name, _ in parse_qsl(parts.query)}
    return not names.isdisjoint(REFUSED)


def _essence(answer: Any) -> tuple[Any, ...]:
    """Every byte of an answer but for what passes."""
    text = answer.text
    headers = [answer.headers.get(each, "") for each in _HEADERS]
    for pattern in _PASSING:
        text = pattern.sub("", text)
        headers = [pattern.sub("", each) for each in headers]
    return answer.status_code, headers, text


def _address(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource.get('id', '')}"


def _resources(value: Any) -> Iterator[dict[str, Any]]:
    """Every resource in an answer, itself, in entries and in parameters; what it contains is part of it."""
    if isinstance(value, dict):
        if "resourceType" in value:
            yield value
        for key, each in value.items():
            if key != "contained":
                yield from _resources(each)
    elif isinstance(value, list):
        for each in value:
            yield from _resources(each)


def walked(repository: Repository, twin: Repository, steps: int, seed: int, ctx: AccessContext = A) -> Walk:
    """A walk at servers over these databases, which are filled. Raises AssertionError."""
    fill_tangled(repository)
    fill_tangled(twin, life=1)
    asked, access.context_of = access.context_of, lambda *_, **__: ctx
    try:
        walk = Walk((_served(repository), _served(twin)), seed)
        walk.go(steps)
    finally:
        access.context_of = asked
    return walk


def _served(repository: Repository) -> Flask:
    app = create_app(repository, config=Config.from_environment({"FHIR_MAX_COUNT": "100"}))
    app.testing = True
    return app


def main() -> None:
    """Walk as far as the first argument says, from the seed of the second."""
    steps, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as directory, Mongod(Path(directory), purpose="test") as mongod:
        begun = perf_counter()
        here, there = (Repository(Store.open(mongod.uri, database=f"walk{each}")) for each in range(2))
        walk = walked(here, there, steps, seed)
        print(f"{steps:,} requests at two servers in {perf_counter() - begun:.0f} s, nothing of B")
        print(
            f"statuses {dict(sorted(walk.statuses.items()))}\nasked {dict(walk.asked)}\nwith records {dict(walk.given)}"
        )


if __name__ == "__main__":
    main()
