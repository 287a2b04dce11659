"""The pages a citizen sees: `/q` opens a card, `/c/` is the record and what one may do with it, `/s` is for a doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify, render_template, send_from_directory, url_for

from fhir_server.citizen.declare_pages import DeclarePages
from fhir_server.citizen.documents import ensure_indexes
from fhir_server.citizen.entry_pages import EntryPages
from fhir_server.citizen.frame import frame, safely_reached
from fhir_server.citizen.questionnaire import questionnaire
from fhir_server.citizen.record_pages import RecordPages
from fhir_server.citizen.share_pages import SharePages
from fhir_server.translation import LANGUAGES, translate

if TYPE_CHECKING:
    from fhir_server.citizen.sessions import Stage
    from fhir_server.citizen.visiting import View, Visiting
    from fhir_server.config import Config
    from fhir_server.repository import Repository

STATIC = Path(__file__).parent / "static"


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The citizen's pages, to be registered at the root of the application."""
    ensure_indexes(repository)
    blueprint = Blueprint(
        "citizen", __name__, template_folder="templates", static_folder="static", static_url_path="/c/static"
    )
    frame(blueprint, config)
    blueprint.before_request(safely_reached(config))
    entry, record = EntryPages(repository, config), RecordPages(repository, config)
    form, share = DeclarePages(repository, config), SharePages(repository, config)

    def show(rule: str, name: str, pages: Visiting, view: View, stage: Stage = "open") -> None:
        blueprint.add_url_rule(rule, name, pages.at(stage, view))

    def take(rule: str, name: str, pages: Visiting, view: View, stage: Stage = "open") -> None:
        blueprint.add_url_rule(rule, name, pages.at(stage, pages.own_form(view)), methods=["POST"])

    blueprint.add_url_rule("/q", "entry", entry.entry)
    blueprint.add_url_rule("/q", "open", entry.open, methods=["POST"])
    show("/q/pin", "pin", entry, entry.pin, "pin")
    take("/q/pin", "check_pin", entry, entry.check_pin, "pin")
    show("/q/change", "change", entry, entry.change, "change")
    take("/q/change", "set_pin", entry, entry.set_pin, "change")
    show("/q/you", "confirm", entry, entry.confirm, "confirm")
    take("/q/you", "confirmed", entry, entry.confirmed, "confirm")
    take("/c/logout", "logout", entry, entry.leave)

    show("/c/", "record", record, record.record)
    show("/c/consent", "consent", record, record.consent)
    take("/c/consent", "agree", record, record.agree)
    take("/c/consent/withdraw", "withdraw_consent", record, record.withdraw_consent)
    show("/c/entries", "entries", record, record.entries)
    take("/c/entries", "withdraw_entry", record, record.withdraw_entry)
    show("/c/seen", "seen", record, record.seen)
    show("/c/family", "family", record, record.family)
    take("/c/family", "turn", record, record.turn)
    show("/c/lock", "lock", record, record.lock)
    take("/c/lock", "locked", record, record.locked)

    show("/c/declare", "declare", form, form.declare)
    take("/c/declare", "check", form, form.check)
    take("/c/declare/draft", "draft", form, form.draft)
    show("/c/review", "review", form, form.review)
    take("/c/review", "save", form, form.save)

    show("/c/share", "share", share, share.share)
    take("/c/share", "make", share, share.make)
    take("/c/share/end", "end", share, share.end)
    show("/c/facility", "facility", share, share.facility)
    take("/c/facility", "facility_asked", share, share.facility_asked)
    blueprint.add_url_rule("/s", "doctor", share.doctor)
    blueprint.add_url_rule("/s", "doctor_opens", share.doctor_opens, methods=["POST"])
    _add_installable(blueprint)
    return blueprint


def _add_installable(blueprint: Blueprint) -> None:
    """What a phone needs to put the pages on its home screen, and the form as a Questionnaire. Nobody's data."""

    def manifest() -> Response:
        icon = {"src": url_for("citizen.static", filename="icon.svg"), "sizes": "any", "type": "image/svg+xml"}
        response = jsonify(
            {
                "name": translate("site.name", LANGUAGES[0]),
                "short_name": translate("site.name", LANGUAGES[0]),
                "lang": LANGUAGES[0],
                "start_url": url_for("citizen.entry"),
                "scope": "/",
                "display": "standalone",
                "background_color": "#ffffff",
                "theme_color": "#00614a",
                "icons": [icon],
            }
        )
        response.mimetype = "application/manifest+json"
        return response

    def worker() -> Response:
        """Served at the root, since a service worker rules over what lies beneath its own address."""
        response = send_from_directory(STATIC, "worker.js", mimetype="text/javascript")
        response.headers["Cache-Control"] = "no-cache"
        return response

    def offline() -> str:
        return render_template("citizen/offline.html")

    blueprint.add_url_rule("/manifest.webmanifest", "manifest", manifest)
    blueprint.add_url_rule("/worker.js", "worker", worker)
    blueprint.add_url_rule("/q/offline", "offline", offline)
    blueprint.add_url_rule("/c/questionnaire", "questionnaire", lambda: jsonify(questionnaire()))
