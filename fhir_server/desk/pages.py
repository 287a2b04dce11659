"""The desk: one table of its pages, each with the roles that open it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Blueprint, Response, g, request, url_for

from fhir_server.access import audit_record, staff
from fhir_server.access.passwords import TooBusy
from fhir_server.citizen.attempts import return_attempt, spend_attempt
from fhir_server.citizen.frame import entry_token_matches, forget_cookie, frame, safely_reached, set_cookie
from fhir_server.desk.asking_pages import AskingPages
from fhir_server.desk.audit_pages import AuditPages
from fhir_server.desk.bundle_pages import BundlePages
from fhir_server.desk.card_pages import CardPages
from fhir_server.desk.carer_pages import CarerPages
from fhir_server.desk.duplicate_pages import DuplicatePages
from fhir_server.desk.emergency_pages import EmergencyPages
from fhir_server.desk.import_pages import ImportPages
from fhir_server.desk.intake_pages import IntakePages
from fhir_server.desk.people_pages import PeoplePages
from fhir_server.desk.sheet_pages import SheetPages
from fhir_server.desk.visiting import DESK_COOKIE, UPLOAD_BYTES, Visiting, see

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

WRONG_PASSWORDS_ALLOWED = 10


class Page(NamedTuple):
    """One address of the desk: `view` is the method of its class; `menu` whether it stands in the menu."""

    rule: str
    name: str
    method: str
    roles: frozenset[str]
    view: str
    menu: bool = False


def _page(rule: str, name: str, method: str, roles: str, view: str, menu: bool = False) -> Page:
    return Page(f"/desk/{rule}", name, method, frozenset(roles.split()), view, menu)


_RECEPTION = "registrar clinician"
_DESK, _PEOPLE, _LISTS = "registrar admin", "registrar clinician admin", "integrator admin"
PAGES: tuple[Page, ...] = (
    _page("find", "find", "GET", _PEOPLE, "people.find", menu=True),
    _page("find", "found", "POST", _PEOPLE, "people.found"),
    _page("person/<id>", "person", "GET", _PEOPLE, "people.person"),
    _page("asking", "asking", "GET", _RECEPTION, "asking.asking", menu=True),
    _page("asking", "asking_shown", "POST", _RECEPTION, "asking.show"),
    _page("shared/<id>", "shared", "GET", _RECEPTION, "people.shared"),
    _page("emergency", "emergency", "GET", "clinician", "emergency.emergency", menu=True),
    _page("emergency", "emergency_declared", "POST", "clinician", "emergency.declare"),
    _page("enter", "entering", "GET", _DESK, "people.entering", menu=True),
    _page("enter", "enter", "POST", _DESK, "people.enter"),
    _page("person/<id>/cards", "cards", "POST", _DESK, "cards.act"),
    _page("person/<id>/carers", "carers", "GET", _DESK, "carers.carers"),
    _page("person/<id>/carers", "carers_named", "POST", _DESK, "carers.act"),
    _page("cards", "sheets", "GET", "admin", "sheets.sheets", menu=True),
    _page("cards", "sheets_made", "POST", "admin", "sheets.made"),
    _page("duplicates", "duplicates", "GET", _DESK, "duplicates.queue", menu=True),
    _page("duplicates/<id>", "pair", "GET", _DESK, "duplicates.pair"),
    _page("duplicates/<id>", "decide", "POST", _DESK, "duplicates.decide"),
    _page("person/<id>/part", "part", "POST", _DESK, "duplicates.part"),
    _page("imports", "imports", "GET", "admin", "imports.imports", menu=True),
    _page("imports", "take", "POST", "admin", "imports.take"),
    _page("imports/<id>", "rejected", "GET", "admin", "imports.rejected"),
    _page("imports/<id>/rejected.csv", "download", "GET", "admin", "imports.download"),
    _page("gateway", "gateway", "GET", _LISTS, "intake.gateway", menu=True),
    _page("gateway", "gateway_asked", "POST", _LISTS, "intake.gateway"),
    _page("residents", "residents", "GET", _DESK, "intake.residents", menu=True),
    _page("residents", "residents_decided", "POST", _DESK, "intake.decided"),
    _page("bundle", "bundle", "GET", "integrator", "bundles.bundle", menu=True),
    _page("bundle", "bundle_sent", "POST", "integrator", "bundles.sent"),
    _page("audit", "audit", "GET", "auditor", "audit.audit", menu=True),
    _page("audit", "events", "POST", "auditor", "audit.events"),
)
MENU = tuple(page for page in PAGES if page.menu)
_LARGE = frozenset({"desk.take", "desk.bundle_sent"})


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The pages of staff, to be registered at the root of the application."""
    staff.ensure_indexes(repository.store.database)
    blueprint = Blueprint(
        "desk", __name__, template_folder="templates", static_folder="static", static_url_path="/desk/static"
    )
    frame(blueprint, config)
    blueprint.before_request(safely_reached(config))
    blueprint.before_request(_allow_files)
    blueprint.context_processor(_menu)
    rooms: dict[str, Visiting] = {
        "people": PeoplePages(repository, config),
        "asking": AskingPages(repository, config),
        "emergency": EmergencyPages(repository, config),
        "cards": CardPages(repository, config),
        "carers": CarerPages(repository, config),
        "sheets": SheetPages(repository, config),
        "duplicates": DuplicatePages(repository, config),
        "imports": ImportPages(repository, config),
        "intake": IntakePages(repository, config),
        "bundles": BundlePages(repository, config),
        "audit": AuditPages(repository, config),
    }
    for page in PAGES:
        room, _, view = page.view.partition(".")
        visiting = rooms[room]
        guarded = visiting.guarded(page.roles, getattr(visiting, view), form=page.method == "POST")
        blueprint.add_url_rule(page.rule, page.name, guarded, methods=[page.method])
    entry = EntryPages(repository, config)
    every = frozenset(staff.ROLES)
    blueprint.add_url_rule("/desk/", "home", entry.guarded(every, entry.home, form=False))
    blueprint.add_url_rule("/desk/login", "login", entry.login)
    blueprint.add_url_rule("/desk/login", "logged_in", entry.logged_in, methods=["POST"])
    blueprint.add_url_rule("/desk/logout", "logout", entry.guarded(every, entry.logout, form=True), methods=["POST"])
    return blueprint


class EntryPages(Visiting):
    """Log-in, log-out, and what is at hand."""

    def home(self) -> Response:
        """What the roles of whoever is logged in open."""
        return self.page("desk/home.html")

    def login(self) -> Response:
        """The form; who is logged in already goes on."""
        if staff.account_of(self.database, self.secret) is not None:
            return see(url_for("desk.home"))
        return self.login_page(200)

    def logged_in(self) -> Response:
        """Spend an attempt of this address and of this name, then compare."""
        if not entry_token_matches(self.config):
            return self.login_page(403, "desk.login.again")
        name, password = request.form.get("name", "").strip().lower(), request.form.get("password", "")
        address = request.remote_addr or ""
        account_key = "staff|" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
        if not spend_attempt(self.repository, address) or not spend_attempt(
            self.repository, account_key, allowed=WRONG_PASSWORDS_ALLOWED
        ):
            return self.login_page(429, "desk.login.too_many")
        try:
            opened = staff.log_in(self.database, name, password)
        except TooBusy:
            return self.login_page(503, "desk.login.busy")
        if opened is None:
            return self.login_page(403, "desk.login.wrong")
        secret, account = opened
        for key in (address, account_key):
            return_attempt(self.repository, key)
        staff.log_out(self.database, self.secret)
        audit_record.happened("login", account.context(address))
        response = see(url_for("desk.home"))
        set_cookie(response, self.config, DESK_COOKIE, secret)
        return response

    def logout(self) -> Response:
        """End the session here and on the server."""
        audit_record.happened("logout", self.ctx)
        staff.log_out(self.database, self.secret)
        response = see(url_for("desk.login"))
        forget_cookie(response, self.config, DESK_COOKIE)
        return response


def _allow_files() -> None:
    """Lists and Bundles are larger than the forms of other pages."""
    if request.endpoint in _LARGE:
        request.max_content_length = UPLOAD_BYTES
        request.max_form_memory_size = UPLOAD_BYTES


def _menu() -> dict[str, Any]:
    """The rows of the menu that are open to whoever is logged in."""
    account = g.get("staff")
    roles = frozenset(account.roles) if account is not None else frozenset()
    shown = [page for page in MENU if roles & page.roles]
    if account is not None and not account.break_glass:
        shown = [page for page in shown if page.name != "emergency"]
    return {"menu": shown}
