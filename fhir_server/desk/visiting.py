"""What the pages of the desk share: who is logged in, what their roles open, the proof that a form is ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import Response, g, make_response, redirect, render_template, request, url_for

from fhir_server.access import staff
from fhir_server.citizen.frame import page_with_entry_token, read_cookie
from fhir_server.citizen.visiting import clock

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.config import Config
    from fhir_server.repository import Repository

View = Callable[..., Response]
DESK_COOKIE = "desk"
UPLOAD_BYTES = 20_000_000
MIN_REASON, MAX_REASON = 5, 300


class Visiting:
    """The ground of all views: each a question to the repository in the name of whoever is logged in."""

    def __init__(self, repository: Repository, config: Config) -> None:
        self.repository = repository
        self.config = config

    @property
    def database(self) -> Any:
        """Where accounts and cards are kept."""
        return self.repository.store.database

    @property
    def secret(self) -> str | None:
        """What the cookie of this browser holds."""
        return read_cookie(self.config, DESK_COOKIE)

    @property
    def ctx(self) -> AccessContext:
        """The caller of everything this request does."""
        account: staff.StaffAccount = g.staff
        emergency: staff.Emergency | None = g.emergency
        return account.context(request.remote_addr or "", emergency.reason if emergency else "")

    @property
    def as_facility(self) -> AccessContext:
        """The caller narrowed to what is open to the facility, also in an emergency."""
        account: staff.StaffAccount = g.staff
        return replace(account.context(request.remote_addr or ""), narrowed=True)

    def because(self) -> AccessContext | None:
        """The caller with the reason that the form gives, for the audit trail; None when it gives none that counts."""
        reason = " ".join(request.form.get("reason", "").split())
        if not MIN_REASON <= len(reason) <= MAX_REASON or not reason.isprintable():
            return None
        return replace(self.ctx, reason=reason)

    def guarded(self, roles: frozenset[str], view: View, *, form: bool) -> View:
        """The view is reached by an account with one of `roles`, and a form only from this browser's own page."""

        @wraps(view)
        def admitted(**values: str) -> Response:
            visit = staff.visit_of(self.database, self.secret)
            if visit is None:
                return self.login_page(401, "desk.login.ended" if self.secret else "")
            account, g.emergency = visit
            g.staff = account
            if not roles & {*account.roles}:
                return self.page("desk/refused.html", 403, why="desk.refused.role")
            if form and not staff.form_token_matches(self.secret, request.form.get("form_token")):
                return self.page("desk/refused.html", 403, why="desk.refused.form")
            return view(**values)

        return admitted

    def login_page(self, status: int, told: str = "") -> Response:
        """The page that asks for name and password. A part of a page that is asked for becomes the whole page."""
        response = page_with_entry_token(self.config, "desk/login.html", status, told=told)
        if request.headers.get("HX-Request"):
            response.headers["HX-Redirect"] = url_for("desk.login")
        return response

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page for whoever is logged in."""
        values |= {"form_token": staff.form_token(self.secret or ""), "staff": g.staff}
        values |= {"emergency": g.emergency, "clock": clock}
        text = render_template(template, **values)
        response = make_response(text, status)
        if status >= 400 and request.headers.get("HX-Request"):
            # What stands in the way takes the place of the whole page, not of the list that was asked for.
            response.headers["HX-Retarget"] = response.headers["HX-Reselect"] = "#main"
            response.headers["HX-Reswap"] = "outerHTML"
        return response

    def refuse(self, why: str) -> Response:
        """The page that says what stands in the way: a message of the catalogue."""
        return self.page("desk/refused.html", 422, why=why)

    def missing(self) -> Response:
        """The page for what is not there, or not for this caller."""
        return self.page("desk/refused.html", 404, why="desk.refused.missing")


def see(address: str) -> Response:
    """After a form: have the browser ask for a page, so that going back does not send the form again."""
    return make_response(redirect(address, 303))
