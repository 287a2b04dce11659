"""One's own record: consent, what one declared, who has seen it, drafts that outlive a session, the locked card."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.citizen.documents import now
from fhir_server.citizen.questionnaire import questionnaire
from fhir_server.resource.validation import validate_issues
from tests.citizen.conftest import declare, hidden_fields, save

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
Enter = Callable[[str], "FlaskClient"]


def found(browser: FlaskClient, search: str) -> list[dict[str, Any]]:
    bundle = browser.get(f"/fhir/{search}").get_json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def session_ends(repository: Repository) -> None:
    """As if twenty minutes had gone by."""
    past = now() - timedelta(seconds=1)
    repository.store.database["citizen_sessions"].update_many({}, {"$set": {"expires": past}})


def test_nothing_is_agreed_to_by_silence_and_each_purpose_is_withdrawn_by_itself(opened: FlaskClient, person_a: str):
    page = opened.get("/c/consent").text
    assert "checked" not in page
    opened.post("/c/consent", data=hidden_fields(opened.get("/c/consent")) | {"care": "yes"})
    given = found(opened, f"Consent?patient={person_a}&status=active")
    assert sorted(each["provision"]["purpose"][0]["code"] for each in given) == ["PATRQT", "TREAT"]
    assert [validate_issues(each) for each in given] == [[], []]
    declared = next(each for each in given if each["provision"]["purpose"][0]["code"] == "PATRQT")
    form = hidden_fields(opened.get("/c/consent")) | {"id": declared["id"]}
    assert opened.post("/c/consent/withdraw", data=form).status_code == 303
    assert len(found(opened, f"Consent?patient={person_a}&status=active")) == 1
    assert found(opened, f"Consent?patient={person_a}&status=inactive")[0]["id"] == declared["id"]
    assert opened.get("/c/declare").headers["Location"] == "/c/consent?to=declare"


def test_nobody_withdraws_another_persons_consent(
    opened: FlaskClient, repository: Repository, person_b: str, store_resource: Callable[..., str]
):
    given = store_resource(
        resourceType="Consent",
        status="active",
        scope={"coding": [{"code": "patient-privacy"}]},
        category=[{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        patient={"reference": f"Patient/{person_b}"},
        policyRule={"text": "x"},
    )
    form = hidden_fields(opened.get("/c/consent")) | {"id": given}
    assert opened.post("/c/consent/withdraw", data=form).status_code == 404
    assert b'"active"' in (repository.read(OPEN, "Consent", given).json or b"")


def test_one_takes_back_what_one_declared_and_never_what_a_clinic_wrote(
    opened: FlaskClient, person_a: str, store_resource: Callable[..., str]
):
    declare(
        opened,
        weight="58,5",
        allergy="yes",
        kind="food",
        substance="Tôm",
        illness_2="yes",
        surgery="Mổ",
        relative_1="MTH",
        family_1="3",
    )
    entries = re.findall(
        r'name="type" value="(\w+)"><input type="hidden" name="id" value="([^"]+)"', opened.get("/c/entries").text
    )
    assert sorted(kind for kind, _ in entries) == [
        *("AllergyIntolerance", "Condition", "FamilyMemberHistory", "Observation", "Procedure")
    ]
    for kind, id in entries:
        form = hidden_fields(opened.get("/c/entries")) | {"type": kind, "id": id}
        assert opened.post("/c/entries", data=form).status_code == 303
        taken = opened.get(f"/fhir/{kind}/{id}").get_json()
        assert "entered-in-error" in str(taken.get("verificationStatus", taken.get("status")))
        assert taken["meta"]["versionId"] == "2"
    page = opened.get("/c/").text
    for gone in ("58,5 kg", "Tôm", "Tăng huyết áp", "Mổ", "Đái tháo đường"):
        assert gone not in page
    clinic = store_resource(
        resourceType="Observation",
        status="final",
        subject={"reference": f"Patient/{person_a}"},
        code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    )
    form = hidden_fields(opened.get("/c/seen")) | hidden_fields(opened.get("/c/lock"))
    refused = opened.post("/c/entries", data=form | {"type": "Observation", "id": clinic})
    assert refused.status_code == 404
    assert opened.get(f"/fhir/Observation/{clinic}").get_json()["meta"]["versionId"] == "1"


def test_a_half_filled_form_outlives_its_session(
    opened: FlaskClient,
    repository: Repository,
    person_a: str,
    token_of: Callable[[str], str],
    present: Callable[[str], Any],
):
    form = hidden_fields(opened.get("/c/declare")) | {"weight": "58,", "illness_3": "yes", "surgery": "Mổ ruột thừa"}
    session_ends(repository)
    page = opened.post("/c/declare", data=form)
    assert page.status_code == 401
    assert "đã được giữ lại" in page.text
    assert "Mổ ruột thừa" not in page.text
    stored = str(repository.store.database["citizen_drafts"].find_one())
    assert "58," not in stored
    assert "ruột" not in stored
    repository.store.database["citizen_sessions"].update_many({}, {"$set": {"expires": now() + timedelta(minutes=5)}})
    form_again = opened.get("/c/declare").text
    assert 'value="58,"' in form_again
    assert 'value="Mổ ruột thừa"' in form_again
    assert re.search(r'name="illness_3" value="yes" checked', form_again)


def test_a_form_of_nobody_is_not_kept(opened: FlaskClient, repository: Repository):
    form = hidden_fields(opened.get("/c/declare")) | {"weight": "58"}
    session_ends(repository)
    assert opened.post("/c/declare", data=form | {"form_token": "0" * 64}).status_code == 401
    opened.set_cookie("citizen", "somebody-else")
    assert opened.post("/c/declare", data=form).status_code == 401
    assert repository.store.database["citizen_drafts"].count_documents({}) == 0


def test_the_script_keeps_what_is_typed_and_a_saved_form_is_forgotten(opened: FlaskClient, repository: Repository):
    form = hidden_fields(opened.get("/c/declare")) | {"weight": "58"}
    assert opened.post("/c/declare/draft", data=form).status_code == 204
    assert "Khai tiếp" in opened.get("/c/").text
    assert save(opened).headers["Location"] == "/c/?saved=1"
    assert repository.store.database["citizen_drafts"].count_documents({}) == 0
    assert "Khai tiếp" not in opened.get("/c/").text


def test_measurements_of_several_days_are_drawn_with_their_table(opened: FlaskClient):
    for day, weight, systolic in (("2026-01-05", "60", "130"), ("2026-02-05", "58,5", "121")):
        declare(opened, weight=weight, height="160", systolic=systolic, diastolic="80", measured=day)
    page = opened.get("/c/").text
    assert page.count('<svg class="chart"') == 3
    assert page.count("<polyline") == 4
    for value in ("22,9", "23,4", "130/80", "121/80"):
        assert f"<td>{value} " in page
    assert not re.search(r"\sstyle=", page)


def test_who_has_seen_the_record_is_told(
    opened: FlaskClient, person_a: str, person_b: str, store_resource: Callable[..., str]
):
    for patient, actor, purpose in ((person_a, "facility:79999", "BTG"), (person_b, "staff:nobody", "TREAT")):
        store_resource(
            resourceType="AuditEvent",
            type={"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
            action="R",
            recorded="2026-03-05T02:15:00Z",
            outcome="0",
            purposeOfEvent=[{"coding": [{"code": purpose}]}],
            agent=[{"requestor": True, "altId": actor}],
            source={"observer": {"display": "x"}},
            entity=[{"what": {"reference": f"Patient/{patient}"}}],
        )
    page = opened.get("/c/seen").text
    assert "Cơ sở y tế</strong>\n<strong>79999</strong>" in page
    assert "09:15, 05/03/2026" in page
    assert "Cấp cứu" in page
    assert "nobody" not in page


def test_a_locked_card_is_closed_at_once_and_for_good(opened: FlaskClient, person_a: str, repository: Repository):
    page = opened.post("/c/lock", data=hidden_fields(opened.get("/c/lock")))
    assert "Đã khóa thẻ" in page.text
    assert opened.get("/c/").status_code == 401
    assert repository.store.database["cards"].count_documents({"revoked": None}) == 0


def test_after_logout_the_browser_keeps_no_page(opened: FlaskClient):
    answer = opened.post("/c/logout", data=hidden_fields(opened.get("/c/")))
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert opened.get("/c/").headers["Cache-Control"] == "no-store"


def test_the_form_is_a_questionnaire_and_its_answers_are_kept_beside_the_resources(opened: FlaskClient, person_a: str):
    assert validate_issues(questionnaire()) == []
    assert opened.get("/c/questionnaire").get_json()["url"] == questionnaire()["url"]
    declare(opened, weight="58,50", illness_2="yes")
    (response,) = found(opened, f"QuestionnaireResponse?patient={person_a}")
    assert {item["linkId"] for item in response["item"]} == {"weight", "illness_2"}
    (provenance,) = found(opened, f"Provenance?patient={person_a}")
    targets = {target["reference"].partition("/")[0] for target in provenance["target"]}
    assert targets == {"Observation", "Condition", "QuestionnaireResponse", "Patient"}


@pytest.mark.parametrize("address", ["/q", "/q/offline"])
def test_the_first_page_is_small_and_the_offline_page_holds_nobody(client: FlaskClient, address: str):
    page = client.get(address)
    parts = [
        page.data,
        *(client.get(name).data for name in set(re.findall(r'(?:src|href)="(/[cq]?[^"?#]*\.\w+)"', page.text))),
    ]
    assert len(parts) >= 4
    assert sum(map(len, parts)) < 50_000


def test_the_pages_can_be_put_on_the_home_screen(client: FlaskClient):
    manifest = client.get("/manifest.webmanifest")
    assert manifest.mimetype == "application/manifest+json"
    assert manifest.get_json()["start_url"] == "/q"
    worker = client.get("/worker.js")
    assert worker.mimetype == "text/javascript"
    # Only these are ever put into the cache of a phone.
    assert re.search(r"var FILES = \[PAGE, ([^\]]*)\]", worker.text)[1] == '"/c/static/pages.css", "/c/static/icon.svg"'
    assert worker.text.count("addAll") == 1
    assert "cache.put" not in worker.text
