"""The start page: what this server is, how much it holds, and three things to try."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from flask import Blueprint, Response, make_response, render_template

from fhir_server.access.context import AccessContext
from fhir_server.citizen.cards import issue_card
from fhir_server.citizen.frame import (
    entry_token_matches,
    frame,
    local_only,
    page_with_entry_token,
    problem_page,
)
from fhir_server.resource import exact

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

HELD = ("Patient", "Coverage", "Encounter", "Condition", "Observation", "AllergyIntolerance")
SEARCHES = (
    ("start.try_name", "Patient?name=nguyen&_count=5&_total=accurate"),
    ("start.try_observations", "Observation?code=http://loinc.org|29463-7&_sort=-date&_count=5"),
)


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The start page at `/`, and `/start/card` that issues a card for the sample person."""
    blueprint = Blueprint("start", __name__, template_folder="templates")
    frame(blueprint, config)
    nearby = local_only(config)

    def start() -> Response:
        shown = nearby() is None
        held = count_held(repository) if shown else []
        return page_with_entry_token(
            config,
            "desk/start.html",
            held=held,
            shown=shown,
            searches=SEARCHES,
            person=shown and sample_person(repository) is not None,
        )

    def card() -> Response:
        refusal = nearby()
        if refusal is not None:
            return refusal
        if not entry_token_matches(config):
            return problem_page(403, "foreign_form")
        person = sample_person(repository)
        if person is None:
            return problem_page(404, "missing")
        issued = issue_card(repository, _open_access(), person, public_url=config.public_url)
        picture = "data:image/png;base64," + b64encode(issued.qr_png()).decode("ascii")
        return make_response(render_template("desk/card.html", card=issued, picture=picture))

    blueprint.add_url_rule("/", "start", start)
    blueprint.add_url_rule("/start/card", "card", card, methods=["POST"])
    return blueprint


def count_held(repository: Repository) -> list[tuple[str, int]]:
    """About how many resources of the types at the heart are held, known without counting them one by one."""
    counted = []
    ctx = _open_access()
    for name in HELD:
        total = repository.search(ctx, name, [("_count", "1"), ("_total", "estimate")]).total
        if total is not None:
            counted.append((name, total))
    return counted


def sample_person(repository: Repository) -> str | None:
    """The id of a person whose record shows something: of the newest visit, else anybody."""
    ctx = _open_access()
    for _, visit in repository.search(ctx, "Encounter", [("_sort", "-date"), ("_count", "1")]).entries:
        reference = exact.parse(visit.json or b"{}").get("subject", {}).get("reference", "")
        if reference.startswith("Patient/"):
            return str(reference.removeprefix("Patient/"))
    for _, patient in repository.search(ctx, "Patient", [("_count", "1")]).entries:
        return patient.id
    return None


def _open_access() -> AccessContext:
    """Open access sees everything; `local_only` is asked before anything is read with it."""
    return AccessContext.unrestricted("open")
