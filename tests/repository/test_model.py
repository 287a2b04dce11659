"""Whatever is written, in whatever order: versions, history and search agree with a model in memory.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fhir_server import patch
from fhir_server.errors import Gone, NotFound, PreconditionFailed
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.repository.people import OPEN, every_match

CODES = st.sampled_from(["a", "b", "c"])
NAMES = st.sampled_from(["x1", "x2", "x3"])


def basic(code: str, identifier: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "code": {"coding": [{"code": code}]}, "identifier": [{"value": identifier}]}


class Model(RuleBasedStateMachine):
    """`versions` holds for every id its versions from the first: (code, identifier), or None for a deletion."""

    repository: Repository
    known = Bundle("known")

    @initialize()
    def start(self) -> None:
        self.versions: dict[str, list[tuple[str, str] | None]] = {}
        self.own = uuid.uuid4().hex[:8]  # all examples share a database, and each has its identifiers

    def mine(self, name: str) -> str:
        return f"{self.own}{name}"

    def live(self) -> dict[str, tuple[str, str]]:
        return {id: versions[-1] for id, versions in self.versions.items() if versions[-1] is not None}

    @rule(target=known, code=CODES, name=NAMES)
    def create(self, code: str, name: str) -> str:
        stored = self.repository.create(OPEN, "Basic", basic(code, self.mine(name))).stored
        assert stored.version == 1
        assert stored.id not in self.versions
        self.versions[stored.id] = [(code, self.mine(name))]
        return stored.id

    @rule(target=known, code=CODES, name=NAMES)
    def create_unless_there_is_one(self, code: str, name: str) -> str:
        matches = [id for id, (_, identifier) in self.live().items() if identifier == self.mine(name)]
        resource, criteria = basic(code, self.mine(name)), f"identifier={self.mine(name)}"
        if len(matches) > 1:
            with pytest.raises(PreconditionFailed):
                self.repository.create(OPEN, "Basic", resource, if_none_exist=criteria)
            return matches[0]
        result = self.repository.create(OPEN, "Basic", resource, if_none_exist=criteria)
        if matches:
            assert (result.outcome, result.stored.id) == ("existing", matches[0])
        else:
            assert result.outcome == "created"
            self.versions[result.stored.id] = [(code, self.mine(name))]
        return result.stored.id

    @rule(id=known, code=CODES, name=NAMES)
    def update(self, id: str, code: str, name: str) -> None:
        result = self.repository.update(OPEN, "Basic", id, basic(code, self.mine(name)))
        self.follow(id, (code, self.mine(name)), result)

    @rule(id=known, code=CODES, behind=st.integers(0, 2))
    def update_a_version(self, id: str, code: str, behind: int) -> None:
        versions = self.versions[id]
        resource = basic(code, self.mine("x1"))
        if behind or versions[-1] is None:
            with pytest.raises(PreconditionFailed):
                self.repository.update(OPEN, "Basic", id, resource, if_match=len(versions) - behind)
        else:
            result = self.repository.update(OPEN, "Basic", id, resource, if_match=len(versions))
            self.follow(id, (code, self.mine("x1")), result)

    @rule(code=CODES, name=NAMES)
    def update_what_matches(self, code: str, name: str) -> None:
        matches = [id for id, (_, identifier) in self.live().items() if identifier == self.mine(name)]
        resource, criteria = basic(code, self.mine(name)), f"identifier={self.mine(name)}"
        if len(matches) > 1:
            with pytest.raises(PreconditionFailed):
                self.repository.update_conditional(OPEN, "Basic", resource, criteria)
            return
        result = self.repository.update_conditional(OPEN, "Basic", resource, criteria)
        assert not matches or result.stored.id == matches[0]
        self.follow(result.stored.id, (code, self.mine(name)), result)

    @rule(id=known, code=CODES)
    def patch(self, id: str, code: str) -> None:
        change = patch.from_text(patch.MERGE_PATCH, json.dumps({"code": {"coding": [{"code": code}]}}).encode())
        current = self.versions[id][-1]
        if current is None:
            with pytest.raises(Gone):
                self.repository.patch(OPEN, "Basic", id, change)
        else:
            self.follow(id, (code, current[1]), self.repository.patch(OPEN, "Basic", id, change))

    def follow(self, id: str, content: tuple[str, str], result: Any) -> None:
        """What a write of `content` must have done, and the model after it."""
        versions = self.versions.setdefault(id, [])
        if versions and versions[-1] == content:
            assert result.outcome == "unchanged"
        else:
            assert result.outcome == ("updated" if versions and versions[-1] else "created")
            versions.append(content)
        assert (result.stored.id, result.stored.version) == (id, len(versions))

    @rule(id=known)
    def delete(self, id: str) -> None:
        versions = self.versions[id]
        result = self.repository.delete(OPEN, "Basic", id)
        if versions[-1] is None:
            assert result is None
        else:
            versions.append(None)
            assert result is not None
            assert result.stored.version == len(versions)

    @rule(name=NAMES)
    def delete_what_matches(self, name: str) -> None:
        matches = [id for id, (_, identifier) in self.live().items() if identifier == self.mine(name)]
        results = self.repository.delete_conditional(OPEN, "Basic", f"identifier={self.mine(name)}")
        assert {each.stored.id for each in results} == set(matches)
        for id in matches:
            self.versions[id].append(None)

    @rule(id=known, code=CODES, name=NAMES)
    def transaction(self, id: str, code: str, name: str) -> None:
        put = {
            "resource": basic(code, self.mine(name)) | {"id": id},
            "request": {"method": "PUT", "url": f"Basic/{id}"},
        }
        post = {"resource": basic(code, self.mine(name)), "request": {"method": "POST", "url": "Basic"}}
        first, second = self.repository.transaction(
            OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": [put, post]}
        )
        self.follow(id, (code, self.mine(name)), first)
        assert second.stored is not None
        self.versions[second.stored.id] = [(code, self.mine(name))]

    @rule(id=known)
    def history(self, id: str) -> None:
        versions = self.versions[id]
        for sort, expected in (
            ("-_lastUpdated", list(range(len(versions), 0, -1))),
            ("_lastUpdated", list(range(1, len(versions) + 1))),
        ):
            seen, following = [], [("_count", "2"), ("_sort", sort)]
            while following:
                page = self.repository.history(OPEN, "Basic", id, query=following)
                assert page.total == len(versions)
                seen += [(each.version, each.json is None) for each in page.entries]
                following = page.next or []
            assert seen == [(version, versions[version - 1] is None) for version in expected]

    @rule(id=known, data=st.data())
    def vread(self, id: str, data: st.DataObject) -> None:
        versions = self.versions[id]
        version = data.draw(st.integers(1, len(versions) + 1))
        if version > len(versions):
            with pytest.raises(NotFound):
                self.repository.vread(OPEN, "Basic", id, str(version))
        elif versions[version - 1] is None:
            with pytest.raises(Gone):
                self.repository.vread(OPEN, "Basic", id, str(version))
        else:
            assert said(self.repository.vread(OPEN, "Basic", id, str(version))) == versions[version - 1]

    @rule(id=known)
    def read(self, id: str) -> None:
        if self.versions[id][-1] is None:
            with pytest.raises(Gone):
                self.repository.read(OPEN, "Basic", id)
        else:
            assert said(self.repository.read(OPEN, "Basic", id)) == self.versions[id][-1]

    @rule(code=CODES, name=NAMES)
    def search(self, code: str, name: str) -> None:
        found = every_match(
            self.repository, "Basic", [("code", code), ("identifier", self.mine(name)), ("_count", "2")]
        )
        expected = [id for id, content in self.live().items() if content == (code, self.mine(name))]
        assert sorted(found) == sorted(expected)

    @invariant()
    def every_version_of_every_resource_stands_once(self) -> None:
        if self.versions:
            counted = self.repository.store.history.count_documents({"id": {"$in": list(self.versions)}})
            assert counted + len(self.live()) == sum(map(len, self.versions.values()))


def said(stored: Any) -> tuple[str, str]:
    resource = json.loads(stored.json)
    return resource["code"]["coding"][0]["code"], resource["identifier"][0]["value"]


def test_the_repository_does_what_a_model_of_it_does(store: Store) -> None:
    machine = type("Machine", (Model,), {"repository": Repository(store)})
    bounded = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(machine, settings=bounded)
