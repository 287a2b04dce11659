"""What a search must find among the records of `world`: key of a row of the conformance page -> (search, ids).

The expectations are read off https://hl7.org/fhir/R4/search.html and not off the server.
"""

from __future__ import annotations

from tests.conformance.world import CARD, CODES, LOINC, UCUM, V2_TYPES

Case = tuple[str, set[str]]

WEIGHTS = {"dao-weight", "duc-weight"}
OBSERVATIONS = {*WEIGHTS, "dao-pressure", "note"}
EVERYBODY = {"dao", "duc", "bao"}
SET = "http://example.vn/fhir/ValueSet/weights"

CASES: dict[str, tuple[Case, ...]] = {
    "type token": (
        ("Patient?gender=female", {"dao"}),
        ("Patient?gender=female,male", {"dao", "duc"}),
        (f"Patient?identifier={CARD}|GD4790000000001", {"dao"}),
        ("Patient?identifier=GD4790000000001", {"dao"}),
        (f"Patient?identifier={CARD}|", {"dao"}),
        ("Patient?identifier=|12345", {"dao"}),
        (f"Patient?identifier={CARD}|12345", set()),
    ),
    "type string": (
        ("Patient?family=nguyen", {"dao"}),
        ("Patient?name=DUC", {"duc"}),
        ("Patient?name=anh dao", {"dao"}),
        ("Patient?family=guyen", set()),
        ("Patient?family=nguyen&family=tran", set()),
        ("Patient?family=nguyen,tran", {"dao", "duc"}),
        (r"Organization?name=Kho A\, B\|C\$D", {"store"}),
        (r"Organization?name=Kho A\, X,Sở", {"ministry"}),
    ),
    "type reference": (
        ("Observation?subject=Patient/dao", {"dao-weight", "dao-pressure"}),
        ("Observation?patient=dao", {"dao-weight", "dao-pressure"}),
        ("Observation?subject=http://127.0.0.1:8080/fhir/Patient/duc", {"duc-weight"}),
    ),
    "type date": (
        ("Patient?birthdate=1985-09-02", {"dao"}),
        ("Patient?birthdate=1985", {"dao"}),
        ("Patient?birthdate=1990-07-01", set()),
        ("Observation?date=2026-11-20T01:10:00Z", {"dao-weight"}),
        ("Observation?date=2026", {*WEIGHTS, "dao-pressure"}),
    ),
    "type number": (
        ("RiskAssessment?probability=0.8", {"risk"}),
        ("RiskAssessment?probability=0.80", {"risk"}),
        ("RiskAssessment?probability=1", {"risk"}),
        ("RiskAssessment?probability=0.81", set()),
    ),
    "type quantity": (
        ("Observation?value-quantity=58.5", {"dao-weight"}),
        ("Observation?value-quantity=59", {"dao-weight"}),
        ("Observation?value-quantity=58", set()),
        (f"Observation?value-quantity=58.5|{UCUM}|kg", {"dao-weight"}),
        (f"Observation?value-quantity=58500|{UCUM}|g", {"dao-weight"}),
        (f"Observation?value-quantity=58.5|{UCUM}|g", set()),
        ("Observation?value-quantity=61||kg", {"duc-weight"}),
    ),
    "type uri": ((f"ValueSet?url={SET}", {"weights"}), ("ValueSet?url=http://example.vn/fhir/ValueSet", set())),
    "type composite": (
        (f"Observation?code-value-quantity={LOINC}|29463-7$gt60", {"duc-weight"}),
        ("Observation?component-code-value-quantity=8480-6$120", {"dao-pressure"}),
        ("Observation?component-code-value-quantity=8480-6$80", set()),
    ),
    "type special": (
        ("Location?near=10.78|106.70|5|km", {"saigon"}),
        ("Location?near=10.78|106.70|2000|km", {"saigon", "hanoi"}),
    ),
    "string:exact": (("Patient?family:exact=Nguyễn", {"dao"}), ("Patient?family:exact=nguyen", set())),
    "string:contains": (("Patient?family:contains=guye", {"dao"}), ("Patient?name:contains=nh d", {"dao"})),
    "string:missing": (
        ("Patient?address:missing=true", EVERYBODY),
        ("Patient?family:missing=false", EVERYBODY),
    ),
    "token:not": (
        ("Patient?gender:not=female", {"duc", "bao"}),
        ("Patient?gender:not=female,male", {"bao"}),
        ("Patient?active:not=true", EVERYBODY),
    ),
    "token:missing": (
        ("Patient?identifier:missing=true", {"duc", "bao"}),
        ("Patient?identifier:missing=false", {"dao"}),
    ),
    "token:text": (("Observation?code:text=body weight", WEIGHTS), ("Observation?code:text=ghi", {"note"})),
    "token:in": ((f"Observation?code:in={SET}", WEIGHTS), ("Observation?code:in=ValueSet/weights", WEIGHTS)),
    "token:not-in": ((f"Observation?code:not-in={SET}", {"dao-pressure", "note"}),),
    "token:below": ((f"Condition?code:below={CODES}|lung", {"lung", "asthma"}),),
    "token:above": ((f"Condition?code:above={CODES}|asthma", {"lung", "asthma"}),),
    "token:of-type": (
        (f"Patient?identifier:of-type={V2_TYPES}|MR|12345", {"dao"}),
        (f"Patient?identifier:of-type={V2_TYPES}|MR|GD4790000000001", set()),
    ),
    "reference:missing": (("Observation?performer:missing=false", {"duc-weight"}),),
    "reference:identifier": ((f"Observation?subject:identifier={CARD}|GD4790000000009", {"note"}),),
    "reference:below": (
        ("Patient?organization:below=ministry", {"dao"}),
        ("Patient?organization:below=Organization/clinic", {"dao"}),
        ("Organization?partof:below=ministry", {"clinic"}),
    ),
    "reference:above": (
        ("Organization?partof:above=clinic", {"clinic"}),
        ("Patient?organization:above=ministry", set()),
    ),
    "reference:[type]": (
        ("Observation?subject:Patient=dao", {"dao-weight", "dao-pressure"}),
        ("Observation?subject:Group=dao", set()),
    ),
    "uri:missing": (("ValueSet?url:missing=true", {"unnamed"}),),
    "uri:below": (("ValueSet?url:below=http://example.vn/fhir/", {"weights"}),),
    "uri:above": ((f"ValueSet?url:above={SET}/more", {"weights"}),),
    "date:missing": (("Patient?birthdate:missing=true", {"bao"}),),
    "number:missing": (("RiskAssessment?probability:missing=true", {"no-risk"}),),
    "quantity:missing": (("Observation?value-quantity:missing=true", {"dao-pressure", "note"}),),
    "prefix eq": (
        ("Observation?date=eq2026-11-20", WEIGHTS),
        ("RiskAssessment?probability=eq0.8", {"risk"}),
        ("Observation?value-quantity=eq58.5", {"dao-weight"}),
    ),
    "prefix ne": (
        ("Observation?date=ne2026-11-20", {"dao-pressure", "note"}),
        ("RiskAssessment?probability=ne0.8", set()),
        ("Observation?value-quantity=ne58.5", {"duc-weight"}),
    ),
    "prefix gt": (
        ("Observation?date=gt2026-11-20", {"dao-pressure"}),
        ("RiskAssessment?probability=gt0.79", {"risk"}),
        ("Observation?value-quantity=gt58.5", {"duc-weight"}),
    ),
    "prefix lt": (
        ("Observation?date=lt2026-11-20", {"dao-pressure", "note"}),
        ("RiskAssessment?probability=lt0.8", set()),
        ("Observation?value-quantity=lt61", {"dao-weight"}),
    ),
    "prefix ge": (
        ("Observation?date=ge2026-11-20", {*WEIGHTS, "dao-pressure"}),
        ("RiskAssessment?probability=ge0.8", {"risk"}),
        ("Observation?value-quantity=ge58.5", WEIGHTS),
    ),
    "prefix le": (
        ("Observation?date=le2026-11-20", OBSERVATIONS),
        ("RiskAssessment?probability=le0.8", {"risk"}),
        ("Observation?value-quantity=le58.5", {"dao-weight"}),
    ),
    "prefix sa": (
        ("Observation?date=sa2026-11-19", WEIGHTS),
        ("RiskAssessment?probability=sa0.7", {"risk"}),
        ("Observation?value-quantity=sa60", {"duc-weight"}),
    ),
    "prefix eb": (
        ("Observation?date=eb2026-11-21", {*WEIGHTS, "note"}),
        ("RiskAssessment?probability=eb0.9", {"risk"}),
        ("Observation?value-quantity=eb60", {"dao-weight"}),
    ),
    "prefix ap": (
        ("Observation?date=ap2026-11-20", {*WEIGHTS, "dao-pressure"}),
        ("RiskAssessment?probability=ap0.75", {"risk"}),
        ("Observation?value-quantity=ap60", WEIGHTS),
        ("Observation?value-quantity=ap50", set()),
    ),
    "filter _id": (("Patient?_id=dao,bao", {"dao", "bao"}),),
    "filter _lastUpdated": (
        ("Patient?_lastUpdated=gt2020-01-01", EVERYBODY),
        ("Patient?_lastUpdated=lt2020-01-01", set()),
    ),
    "filter _tag": (("Patient?_tag=http://example.vn/tags|seed", {"dao"}),),
    "filter _security": (("Patient?_security=R", {"dao"}),),
    "filter _profile": (("Patient?_profile=http://example.vn/fhir/StructureDefinition/person", {"dao"}),),
    "filter _source": (("Patient?_source=http://example.vn/roster", {"dao"}),),
    "filter _text": (
        ("Patient?_text=dau phong", {"dao"}),
        ("Patient?_text=đậu", {"dao"}),
        ("Patient?_text=dao", set()),
    ),
    "filter _content": (("Patient?_content=phong", {"dao"}), ("Patient?_content=duc", {"duc"})),
    "filter _list": (("Patient?_list=watched", {"duc"}),),
    "filter _has": (
        ("Patient?_has:Observation:patient:code=85354-9", {"dao"}),
        ("Patient?_has:Observation:patient:value-quantity=gt60", {"duc"}),
        ("Organization?_has:Patient:organization:_has:Observation:patient:status=amended", {"clinic"}),
    ),
    "filter _filter": (
        ('Patient?_filter=family eq "nguyen" or birthdate gt 1990-01-01', {"dao", "duc"}),
        ("Patient?_filter=not (gender eq female)", {"duc", "bao"}),
    ),
    "filter _type": (("?_type=Patient,Location&_id=dao,saigon,skin", {"dao", "saigon"}),),
    "filter chained": (
        ("Observation?subject:Patient.family=tran", {"duc-weight"}),
        ("Observation?patient.organization.name=tram", {"dao-weight", "dao-pressure"}),
        ("Observation?patient.organization.partof.name=so y", {"dao-weight", "dao-pressure"}),
    ),
    "GET <compartment>/<id>/<type>": (
        ("Patient/dao/Observation?_count=50", {"dao-weight", "dao-pressure"}),
        ("Patient/dao/Observation?status=amended", {"dao-pressure"}),
        ("Patient/nobody/Observation?_count=50", set()),
    ),
    "GET <compartment>/<id>/*": (
        ("Patient/duc/*?_count=50", {"duc", "duc-weight", "no-risk"}),
        ("Patient/dao/*?_type=Observation,RiskAssessment", {"dao-weight", "dao-pressure", "risk"}),
    ),
    "GET": (
        ("?_id=dao,saigon", {"dao", "saigon"}),
        ("?_type=Patient,Location&_id=dao,saigon,skin", {"dao", "saigon"}),
    ),
    "result _include": (
        ("Observation?_id=dao-weight&_include=Observation:subject", {"dao-weight", "dao"}),
        ("Observation?_id=duc-weight&_include=*", {"duc-weight", "duc", "clinic"}),
        ("Observation?_id=duc-weight&_include=Observation:performer:Organization", {"duc-weight", "clinic"}),
    ),
    "result _include:iterate": (
        (
            "Observation?_id=dao-weight&_include=Observation:subject&_include:iterate=Patient:organization"
            "&_include:iterate=Organization:partof",
            {"dao-weight", "dao", "clinic", "ministry"},
        ),
    ),
    "result _revinclude": (("Patient?_id=dao&_revinclude=Observation:subject", {"dao", "dao-weight", "dao-pressure"}),),
    "result _revinclude:iterate": (
        (
            "Organization?_id=ministry&_revinclude=Organization:partof&_revinclude:iterate=Patient:organization",
            {"ministry", "clinic", "dao"},
        ),
    ),
}
# The name R4's drafts had for :iterate means the same.
for _name in ("_include", "_revinclude"):
    CASES[f"result {_name}:recurse"] = tuple(
        (search.replace(":iterate", ":recurse"), found) for search, found in CASES[f"result {_name}:iterate"]
    )
