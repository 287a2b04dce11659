"""Abuse cases 1 to 12: reading, searching and walking along references never leads from A to B.

1 read by id, 2 search without a patient, 3 naming B, 4 _include, 5 _revinclude, 6 iterate and wildcards, 7 _has,
8 chains, 9 _filter and the like, 10 order and totals, 11 history, 12 Bundles.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.abuse.site import Site
from tests.access.world import FHIR

TYPES = ("Observation", "Condition", "Encounter", "AllergyIntolerance", "MedicationRequest", "DocumentReference")
B = "Patient/b-patient"


def observation(**changes: Any) -> dict[str, Any]:
    """What A might write."""
    subject = {"reference": "Patient/a-patient"}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject, **changes}


def owned(site: Site, type: str, patient: str = "a-patient") -> int:
    """How many live records of a type the patient owns."""
    found: int = site.database[type].count_documents({"o": patient})
    return found


def told(site: Site, path: str) -> Any:
    """What A is told: status, total, ids and issue, and not the address that was asked for."""
    answer = site.a("GET", path)
    body = answer.json
    return answer.status, body.get("total"), answer.ids, body.get("issue")


def test_case_01_a_read_of_b_by_id_is_the_404_of_what_does_not_exist(site: Site) -> None:
    """GET of B's resource by id is the same 404, with the same work, as of one that does not exist."""
    for type, id in (("Observation", "b-weight-1"), ("Patient", "b-patient"), ("Encounter", "b-encounter")):
        for method in ("GET", "HEAD"):
            with site.work() as for_b:
                theirs = site.a(method, f"{type}/{id}")
            with site.work() as for_nothing:
                nothing = site.a(method, f"{type}/{'x' * len(id)}")
            assert theirs.status == 404
            assert theirs.text.replace(id, "x" * len(id)) == nothing.text
            assert theirs.essence[::2] == nothing.essence[::2]
            assert for_b == for_nothing
            assert for_b


@pytest.mark.parametrize("type", [*TYPES, "Patient"])
def test_case_02_a_search_without_patient_finds_a_only(site: Site, type: str) -> None:
    """A search without a patient finds A's records only, and counts no others."""
    answer = site.a("GET", f"{type}?_total=accurate&_count=100")
    assert answer.json["total"] == owned(site, type) == len(answer.ids)
    assert site.database[type].count_documents({"o": "b-patient"}) > 0


@pytest.mark.parametrize(
    "query",
    [
        *(
            "patient=b-patient",
            f"patient={B}",
            f"subject={B}",
            "subject:Patient=b-patient",
            "patient:Patient=b-patient",
        ),
        *(f"patient={FHIR}/{B}", f"subject={FHIR}/{B}", "patient=b-patient&patient=b-patient", "_id=b-weight-1"),
        *("patient=b-patient,nobody", "patient=a-patient&patient=b-patient", f"focus={B}", f"performer={B}"),
        "subject:identifier=http://example.vn/sid%7Cx",
    ],
)
def test_case_03_naming_b_in_any_way_finds_nothing(site: Site, query: str) -> None:
    """patient=B, an absolute URL, `:Patient`, a comma list and a repeated parameter find nothing; by POST too."""
    assert told(site, f"Observation?{query}&_total=accurate")[:3] == (200, 0, set())
    posted = site.a("POST", "Observation/_search", query, Content_Type="application/x-www-form-urlencoded")
    assert (posted.status, posted.ids) == (200, set())
    both = site.a("GET", "Observation?patient=a-patient,b-patient&_total=accurate&_count=100")
    assert both.json["total"] == owned(site, "Observation")


def test_case_04_an_include_never_leads_to_b(site: Site) -> None:
    """`_include` of a reference to B brings nothing of B along, also from a record of A's that names B."""
    naming = {
        "resourceType": "Observation",
        "id": "a-names-b",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "Patient/a-patient"},
        "encounter": {"reference": "Encounter/b-encounter"},
        "hasMember": [{"reference": "Observation/b-weight-1"}],
        "performer": [{"reference": "Practitioner/x"}],
    }
    assert site.send("PUT", "/fhir/Observation/a-names-b", naming, token=site.clinic).status in (200, 201)
    for include in ("encounter", "has-member", "subject", "performer", "focus"):
        answer = site.a("GET", f"Observation?_id=a-names-b,a-about-both&_include=Observation:{include}")
        assert answer.status == 200
        assert not {each for each in answer.ids if "/b-" in each}
    assert "Observation/a-names-b" in answer.ids
    assert site.send("DELETE", "/fhir/Observation/a-names-b", token=site.clinic).status in (200, 204)


def test_case_05_a_revinclude_by_focus_brings_nothing_of_b(site: Site) -> None:
    """`_revinclude=Observation:focus`: what B's record says about A stays B's."""
    for parameter in ("focus", "subject", "patient", "performer"):
        answer = site.a("GET", f"Patient?_revinclude=Observation:{parameter}")
        assert answer.status == 200
        assert "Patient/a-patient" in answer.ids
        assert "Observation/b-about-both" not in answer.ids
    for source in ("Provenance:target", "List:item", "Group:member"):
        answer = site.a("GET", f"Observation?_revinclude={source}")
        assert {each.partition("/")[0] for each in answer.ids} == {"Observation"}


def test_case_06_iteration_wildcards_and_later_pages_bring_nothing_of_b(site: Site) -> None:
    """`:iterate`, `*` and includes on every later page stay within A's record."""
    for query in (
        "_include=*&_revinclude=*",
        "_include=*&_include:iterate=*",
        "_include:iterate=Observation:encounter&_revinclude:iterate=Observation:encounter",
        "_include=Observation:subject&_revinclude:iterate=Observation:focus",
    ):
        address, seen = f"Observation?{query}&_count=2", set()
        for _ in range(20):
            answer = site.a("GET", address)
            if answer.status != 200:
                break
            seen |= answer.ids
            links = {each["relation"]: each["url"] for each in answer.json["link"]}
            if "next" not in links:
                break
            parts = urlsplit(links["next"])
            address = f"{parts.path.removeprefix('/fhir/')}?{parts.query}"
        assert len(seen) > 5, (query, answer.text[:300])


def test_case_07_has_tells_nothing_of_b(site: Site) -> None:
    """`_has` answers alike for what B has and for what nobody has."""
    for path in ("Patient?_id=b-patient&", "Patient?", "Encounter?", "Organization?", "Group?"):
        kind = {"Encounter?": "encounter", "Group?": "subject"}.get(path, "patient")
        asked = [
            told(site, f"{path}_has:Observation:{kind}:value-quantity={value}&_total=accurate")
            for value in ("151", "251")  # A has 51, B 151, nobody 251
        ]
        assert asked[0] == asked[1]
        assert not asked[0][1]
    there = told(site, "Patient?_has:Observation:patient:value-quantity=51&_total=accurate")
    assert there[:3] == (200, 1, {"Patient/a-patient"})


def test_case_08_chains_tell_nothing_of_b(site: Site) -> None:
    """Chained parameters see nothing of B on the way."""
    for chain in ("subject:Patient.birthdate", "patient.birthdate", "focus:Patient.birthdate", "encounter.date"):
        asked = [told(site, f"Observation?{chain}={day}") for day in ("1990-01-02", "1890-01-02")]
        if chain == "encounter.date":
            asked = [
                told(site, f"Observation?encounter.subject:Patient.birthdate={day}") for day in ("1990-01-02", "1890")
            ]
        assert asked[0] == asked[1]
        assert asked[0][2] == set()
    assert told(site, "Observation?subject:Patient.birthdate=1990-01-01")[2]


@pytest.mark.parametrize("name", ["_filter", "_query", "_list", "_text", "_content"])
def test_case_09_filter_query_list_and_text_are_refused(site: Site, name: str) -> None:
    """`_filter`, `_query`, `_list`, `_text` and `_content` are refused, also inside chains, forms and entries."""
    assert site.a("GET", f"Observation?{name}=both").status == 403
    assert (
        site.a("POST", "Observation/_search", f"{name}=both", Content_Type="application/x-www-form-urlencoded").status
        == 403
    )
    assert site.a("GET", f"Observation?subject:Patient.{name}=both").status in (400, 403)
    assert site.a("GET", f"?_type=Observation&{name}=both").status == 403
    entry = {"request": {"method": "GET", "url": f"Observation?{name}=both"}}
    batch = site.a("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert batch.json["entry"][0]["response"]["status"].startswith("403")


def test_case_10_order_and_totals_know_nothing_of_b(site: Site) -> None:
    """Sort order, `_total` and `_summary=count` are those of A's records alone."""
    for total in ("_total=accurate", "_total=estimate", "_summary=count", "_count=0&_total=accurate"):
        assert site.a("GET", f"Observation?{total}").json.get("total") in (None, owned(site, "Observation"))
    assert site.a("GET", "Observation?_summary=count").json["total"] == owned(site, "Observation")
    for sort in ("date", "-date", "_id", "-_lastUpdated", "code", "value-quantity"):
        answer = site.a("GET", f"Observation?_sort={sort}&_count=100")
        assert answer.status in (200, 400)
        assert answer.status == 400 or len(answer.ids) == owned(site, "Observation")


def test_case_11_versions_and_history_show_nothing_of_b(site: Site) -> None:
    """vread, history, deleted records, and versions that were B's before the record became A's."""
    for path in ("b-weight-1/_history", "b-weight-1/_history/1", "b-gone", "b-gone/_history", "b-gone/_history/1"):
        assert site.a("GET", f"Observation/{path}").status == 404
    assert site.a("GET", "Observation/moved/_history/1").status == 404
    moved = site.a("GET", "Observation/moved/_history").json
    assert (moved["total"], [each["resource"]["meta"]["versionId"] for each in moved["entry"]]) == (1, ["2"])
    for path in ("_history", "Observation/_history?_count=100", "Patient/_history"):
        assert site.a("GET", path).status == 403


def test_case_12_entries_of_bundles_are_asked_for_one_by_one(site: Site) -> None:
    """What is refused or not found alone is so in a batch and in a transaction."""
    urls = (
        *(
            "Observation/b-weight-1",
            B,
            f"Observation?patient={B}",
            "Observation/b-gone",
            "Observation/moved/_history/1",
        ),
        *("Patient/b-patient/$everything", "Patient?_revinclude=Observation:focus", "_history", "Patient/b-patient/*"),
    )
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    batch = site.a("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    statuses = [each["response"]["status"][:3] for each in batch.json["entry"]]
    assert statuses[:2] == ["404", "404"]
    assert statuses[3:6] == ["404"] * 3
    for entry in entries:
        site.a("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    for method, url in (("DELETE", "Observation/b-weight-1"), ("PUT", "Observation/b-weight-1")):
        body = {"resource": observation(id="b-weight-1")} if method == "PUT" else {}
        entry = {"request": {"method": method, "url": url}, **body}
        sent = site.a("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        assert sent.status == 403
    assert site.send("GET", "/fhir/Observation/b-weight-1", token=site.clinic).json["meta"]["versionId"] == "2"
