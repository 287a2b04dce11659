"""Composition/$document gathers a Composition and all it speaks of, or says what is missing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import NotFound, Unprocessable
from fhir_server.operations.documents import document_of
from fhir_server.resource.validation import validate
from tests.rest.operations.conftest import OPEN

BASE = "http://127.0.0.1:8080/fhir"
AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
A = AccessContext.for_patient("a", "card:1")


@pytest.fixture
def compose(put, observe):
    """compose("c", entries=[...]): a Composition about Patient/a by Practitioner/doctor."""
    put("Practitioner/doctor", name=[{"text": "Trần Văn Mẫu"}])
    for who in ("a", "b"):
        put(f"Patient/{who}", name=[{"text": "Người Mẫu"}])
        observe(f"o-{who}", who, "718-7", 13, "2026-01-01")

    def compose(id, entries, subject="a", **elements):
        inner = {"title": "Bên trong", "entry": [{"reference": each} for each in entries]}
        return put(
            f"Composition/{id}",
            status="final",
            type={"text": "Giấy ra viện"},
            subject={"reference": f"Patient/{subject}"},
            date="2026-01-02",
            title="Giấy ra viện",
            author=[{"reference": "Practitioner/doctor"}],
            section=[{"title": "Ngoài", "section": [inner]}],
            **elements,
        )

    return compose


def urls(document):
    return [entry["fullUrl"].rpartition("/fhir/")[2] for entry in document["entry"]]


def test_the_document_holds_the_composition_first_and_every_part_once(compose, get) -> None:
    compose("c", ["Observation/o-a", f"{BASE}/Observation/o-a/_history/1"])
    document = get("Composition/c/$document")
    assert (document["resourceType"], document["type"]) == ("Bundle", "document")
    assert urls(document) == ["Composition/c", "Patient/a", "Observation/o-a", "Practitioner/doctor"]
    assert document["identifier"]["value"].startswith("urn:uuid:")
    assert validate(document) == document


def test_the_composition_may_be_named_by_id_or_address(compose, get) -> None:
    compose("c", ["Observation/o-a"])
    expected = urls(get("Composition/c/$document"))
    for id in ("c", "Composition/c", "http://localhost/fhir/Composition/c"):
        assert urls(get(f"Composition/$document?id={id}")) == expected


def test_a_missing_part_is_named(compose, client, issue) -> None:
    compose("c", ["Observation/o-a", "Observation/lost", "http://elsewhere.example/fhir/Observation/1"])
    response = client.get("/fhir/Composition/c/$document")
    assert response.status_code == 422
    assert issue(response)["diagnostics"] == (
        "2 parts of the document are not on this server or are deleted: "
        "Observation/lost, http://elsewhere.example/fhir/Observation/1."
    )


def test_who_wrote_it_may_be_missing(compose, repository, get) -> None:
    compose("c", ["Observation/o-a"])
    repository.delete(OPEN, "Practitioner", "doctor")
    assert urls(get("Composition/c/$document")) == ["Composition/c", "Patient/a", "Observation/o-a"]


def test_a_document_is_not_kept(compose, client, issue, get) -> None:
    compose("c", ["Observation/o-a"])
    response = client.get("/fhir/Composition/c/$document?persist=true")
    assert (response.status_code, issue(response)["code"]) == (400, "not-supported")
    assert get("Composition/c/$document?persist=false")["type"] == "document"


@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("?id=nobody", 404), ("?id=http://x.example/Composition/1", 400)]
)
def test_a_composition_that_is_not_here_is_refused(client, query, status) -> None:
    assert client.get(f"/fhir/Composition/$document{query}").status_code == status


def test_a_bound_caller_gets_documents_of_the_own_record_only(compose, repository) -> None:
    compose("mine", ["Observation/o-a"])
    compose("other", ["Observation/o-b"], subject="b")
    compose("crossed", ["Observation/o-b"])
    assert urls(document_of(repository, A, "mine", BASE, AT)) == ["Composition/mine", "Patient/a", "Observation/o-a"]
    with pytest.raises(NotFound):
        document_of(repository, A, "other", BASE, AT)
    # It is about a and lists what is b's: a part that may not be seen is one that is not there.
    with pytest.raises(
        Unprocessable, match=r"^1 parts of the document are not on this server or are deleted: Observation/o-b\.$"
    ):
        document_of(repository, A, "crossed", BASE, AT)
