"""Cards of a list or a ward as one PDF, for those who may: whoever holds the file can open each of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, request

from fhir_server.access import audit_record
from fhir_server.citizen.card_sheets import sheets
from fhir_server.citizen.cards import issue_card
from fhir_server.desk.finding import find
from fhir_server.desk.visiting import Visiting
from fhir_server.errors import Gone, NotFound
from mappings.problems import UnreadableInput

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext

MOST = 500
_FIELDS = ("list", "ward", "reason")


class SheetPages(Visiting):
    """Cards in bulk."""

    def sheets(self) -> Response:
        """The form."""
        return self._form("")

    def made(self) -> Response:
        """The PDF, or why no card was issued: all are found before the first one is made."""
        ctx = self.because()
        if ctx is None:
            return self._form("desk.refused.reason")
        lines = [line.strip() for line in request.form.get("list", "").splitlines()]
        ward = request.form.get("ward", "").strip()
        if len(lines) > MOST:
            return self._form("desk.sheets.many")
        people = {number: self._one(ctx, line) for number, line in enumerate(lines, 1) if line}
        unknown = [str(number) for number, person in people.items() if person is None]
        if unknown:
            return self._form("desk.sheets.unknown", ", ".join(unknown[:20]))
        ids = list(dict.fromkeys(person for person in people.values() if person))
        if ward and not ids:
            ids = self._living_in(ctx, ward)
        if not ids or len(ids) > MOST:
            return self._form("desk.sheets.many" if ids else "desk.sheets.none")
        audit_record.happened("card", ctx)
        cards = [issue_card(self.repository, ctx, id, public_url=self.config.public_url) for id in ids]
        response = Response(sheets(cards, hotline=self.config.hotline), mimetype="application/pdf")
        response.headers["Content-Disposition"] = 'attachment; filename="cards.pdf"'
        return response

    def _one(self, ctx: AccessContext, line: str) -> str | None:
        """The id of the one person a line names; None for nobody and for several."""
        try:
            found = find(self.repository, ctx, line).people
        except UnreadableInput:
            return None
        if len(found) == 1:
            return found[0].id
        try:
            return self.repository.read(ctx, "Patient", line).id
        except (NotFound, Gone):
            return None

    def _living_in(self, ctx: AccessContext, ward: str) -> list[str]:
        """The people whose address names a ward, and one more than the most there may be."""
        query = [("address:contains", ward.replace(",", "\\,")), ("active", "true"), ("_count", str(MOST + 1))]
        return [stored.id for _, stored in self.repository.search(ctx, "Patient", [*query, ("_total", "none")]).entries]

    def _form(self, told: str, lines: str = "") -> Response:
        asked = {name: request.form.get(name, "") for name in _FIELDS}
        return self.page("desk/sheets.html", 422 if told else 200, told=told, lines=lines, asked=asked)
