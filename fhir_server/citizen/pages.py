"""The pages a citizen sees: `/q` opens a card, `/c/` shows the record, `/c/declare` takes what the person declares."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for

from fhir_server.citizen import declaration
from fhir_server.citizen.attempts import WINDOW, return_attempt, spend_attempt
from fhir_server.citizen.cards import open_card
from fhir_server.citizen.documents import ensure_indexes
from fhir_server.citizen.frame import (
    SESSION_COOKIE,
    entry_token_matches,
    forget_cookie,
    frame,
    local_only,
    page_with_entry_token,
    problem_page,
    read_cookie,
    set_cookie,
)
from fhir_server.citizen.record import birth_day, read_person, read_record
from fhir_server.citizen.sessions import (
    current_session,
    end_session,
    form_token,
    form_token_matches,
    start_session,
)
from fhir_server.errors import FhirError
from fhir_server.translation import LANGUAGES, VIETNAM

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

View = Callable[[], Response]


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The citizen's pages, to be registered at the root of the application."""
    ensure_indexes(repository)
    blueprint = Blueprint(
        "citizen", __name__, template_folder="templates", static_folder="static", static_url_path="/c/static"
    )
    frame(blueprint, config)
    blueprint.before_request(local_only(config))
    pages = Pages(repository, config)
    blueprint.add_url_rule("/q", "entry", pages.entry)
    blueprint.add_url_rule("/q", "open", pages.open, methods=["POST"])
    blueprint.add_url_rule("/c/", "record", pages.in_session(pages.record))
    blueprint.add_url_rule("/c/declare", "declare", pages.in_session(pages.declare))
    blueprint.add_url_rule("/c/declare", "save", pages.in_session(pages.own_form(pages.save)), methods=["POST"])
    blueprint.add_url_rule("/c/logout", "logout", pages.in_session(pages.own_form(pages.logout)), methods=["POST"])
    return blueprint


class Pages:
    """The views, each a question to the repository in the name of the one patient whose card was opened."""

    def __init__(self, repository: Repository, config: Config) -> None:
        self.repository = repository
        self.config = config

    def in_session(self, view: View) -> View:
        """Without a session in force the view is not reached: the card must be opened (again)."""

        @wraps(view)
        def guarded() -> Response:
            g.session = current_session(self.repository, self._secret)
            if g.session is None:
                return self._entry_page(401, "entry.ended")
            return view()

        return guarded

    def own_form(self, view: View) -> View:
        """A form is taken only when it was made by this browser's own page."""

        @wraps(view)
        def guarded() -> Response:
            if not form_token_matches(self._secret, request.form.get("form_token")):
                return problem_page(403, "foreign_form")
            return view()

        return guarded

    def entry(self) -> Response:
        return self._entry_page()

    def open(self) -> Response:
        if not entry_token_matches(self.config):
            return problem_page(403, "foreign_form")
        address = request.remote_addr or ""
        if not spend_attempt(self.repository, address):
            response = self._entry_page(429, "entry.too_many")
            response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
            return response
        card = open_card(self.repository, request.form.get("code", ""))
        if card is None:
            return self._entry_page(403, "entry.wrong")
        return_attempt(self.repository, address)
        end_session(self.repository, self._secret)
        response = _see(url_for("citizen.record"))
        set_cookie(response, self.config, SESSION_COOKIE, start_session(self.repository, card))
        return response

    def record(self) -> Response:
        record = read_record(self.repository, g.session.context)
        return self._page("citizen/record.html", record=record, saved="saved" in request.args)

    def declare(self) -> Response:
        today = datetime.now(VIETNAM).date().isoformat()
        return self._form({"measured": today, "submission": str(uuid.uuid4())})

    def save(self) -> Response:
        typed = {name: value for name, value in request.form.items() if name != "form_token"}
        if typed.get("switch") in LANGUAGES:
            g.language = typed["switch"]
            return self._form(typed)
        ctx, at = g.session.context, datetime.now(VIETNAM)
        try:
            person = read_person(self.repository, ctx)
            reading = declaration.read_form(typed, today=at.date(), born=birth_day(person))
            if reading.declaration is None or (reading.doubts and typed.get("confirmed") != reading.doubted):
                return self._form(typed, reading)
            declared = declaration.resources(
                reading.declaration, ctx.patient or "", recorded=at, submission=typed.get("submission", "")
            )
            self.repository.transaction(ctx, declaration.transaction(declared))
        except FhirError as error:
            # Nothing was stored; the form comes back as it was typed, so that it can be sent again.
            return self._form(typed, failed=True, status=error.status)
        return _see(url_for("citizen.record", saved=1))

    def logout(self) -> Response:
        end_session(self.repository, self._secret)
        response = _see(url_for("citizen.entry"))
        forget_cookie(response, self.config, SESSION_COOKIE)
        return response

    @property
    def _secret(self) -> str | None:
        return read_cookie(self.config, SESSION_COOKIE)

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        page = render_template(template, form_token=form_token(self._secret or ""), **values)
        return make_response(page, status)

    def _entry_page(self, status: int = 200, message: str | None = None) -> Response:
        return page_with_entry_token(self.config, "citizen/entry.html", status, message=message)

    def _form(
        self,
        typed: dict[str, str],
        reading: declaration.Reading | None = None,
        *,
        failed: bool = False,
        status: int | None = None,
    ) -> Response:
        day = declaration.read_date(typed.get("measured", ""))
        return self._page(
            "citizen/declare.html",
            status or (200 if reading is None else 422),
            # A date field shows a day only in the form phones send it.
            typed=typed | ({"measured": day.isoformat()} if day else {}),
            problems=reading.problems if reading else (),
            doubts=reading.doubts if reading else (),
            doubted=reading.doubted if reading else "",
            failed=failed,
            today=datetime.now(VIETNAM).date().isoformat(),
        )


def _see(address: str) -> Response:
    """Answer a form with a page that can be reloaded without sending the form again."""
    return make_response(redirect(address, 303))
