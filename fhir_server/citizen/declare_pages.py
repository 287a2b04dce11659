"""The form: filled in, looked over, stored. What was typed is kept as a draft from the first answer on."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence

from flask import Response, g, make_response, request, url_for

from fhir_server.citizen import consents, declaration
from fhir_server.citizen.declared_history import DISABILITIES, FAMILY_ROWS, HABITS, ILLNESSES, RELATIVES
from fhir_server.citizen.drafts import drop_draft, keep_draft, kept_draft
from fhir_server.citizen.person import birth_day
from fhir_server.citizen.record import describe, read_person
from fhir_server.citizen.submission import already_stored, resources, transaction
from fhir_server.citizen.visiting import Visiting, see, typed_form
from fhir_server.errors import FhirError
from fhir_server.translation import LANGUAGES, now_here

TABLES = {
    "illnesses": ILLNESSES,
    "disabilities": DISABILITIES,
    "relatives": RELATIVES,
    "family_rows": FAMILY_ROWS,
    "habits": HABITS,
}


class DeclarePages(Visiting):
    """The views of the form."""

    def declare(self) -> Response:
        if not consents.agrees(self.repository, self.context, "declare"):
            return see(url_for("citizen.consent", to="declare"))
        kept = kept_draft(self.repository, self.session)
        fresh = {"measured": now_here().date().isoformat(), "submission": str(uuid.uuid4())}
        return self._form(kept or fresh, kept=kept is not None)

    def check(self) -> Response:
        typed = typed_form()
        keep_draft(self.repository, self.session, typed)
        if request.form.get("switch") in LANGUAGES:
            g.language = request.form["switch"]
            return self._form(typed)
        if request.form.get("action") == "later":
            return see(url_for("citizen.record", kept=1))
        try:
            reading = self._read(typed)
        except FhirError as error:
            return self._form(typed, failed=True, status=error.status)
        return self._form(typed, reading) if reading.declaration is None else see(url_for("citizen.review"))

    def draft(self) -> Response:
        """What the page's script sends while the form is being filled in."""
        keep_draft(self.repository, self.session, typed_form())
        return make_response("", 204)

    def review(self) -> Response:
        typed = kept_draft(self.repository, self.session)
        if typed is None:
            return see(url_for("citizen.record"))
        reading = self._read(typed)
        return self._review(typed, reading) if reading.declaration is not None else self._form(typed, reading)

    def save(self) -> Response:
        typed = kept_draft(self.repository, self.session)
        if typed is None:
            return see(url_for("citizen.record", saved=1))
        if not consents.agrees(self.repository, self.context, "declare"):
            return see(url_for("citizen.consent", to="declare"))
        if request.form.get("reviewed") != _digest(typed):
            return see(url_for("citizen.review"))  # another form, or another tab has changed this one since
        reading = self._read(typed)
        if reading.declaration is None:
            return self._form(typed, reading)
        if reading.doubts and request.form.get("confirmed") != reading.doubted:
            return self._review(typed, reading, 422)
        try:
            self._store(typed, reading.declaration)
        except FhirError as error:
            # Nothing was stored; the form is kept as it was typed, so that it can be sent again.
            return self._form(typed, failed=True, status=error.status)
        drop_draft(self.repository, self.session)
        return see(url_for("citizen.record", saved=1))

    def _read(self, typed: dict[str, str]) -> declaration.Reading:
        person = read_person(self.repository, self.context)
        return declaration.read_form(typed, today=now_here().date(), born=birth_day(person))

    def _store(self, typed: dict[str, str], declared: declaration.Declaration) -> None:
        ctx, at, submission = self.context, now_here(), typed.get("submission", "")
        patient = ctx.patient or ""
        made = resources(declared, patient, recorded=at, submission=submission)
        bundle = transaction(made, typed, patient, recorded=at, submission=submission)
        stored = [("identifier", already_stored(bundle)), ("patient", f"Patient/{patient}"), ("_count", "1")]
        if not self.repository.search(ctx, "QuestionnaireResponse", stored).entries:
            self.repository.transaction(ctx, bundle)

    def _review(self, typed: dict[str, str], reading: declaration.Reading, status: int = 200) -> Response:
        assert reading.declaration is not None
        made = resources(reading.declaration, self.context.patient or "", recorded=now_here(), submission="")
        return self.page(
            "citizen/review.html",
            status,
            entries=[describe(resource, g.language)[0] for resource in made],
            doubts=reading.doubts,
            doubted=reading.doubted,
            unconfirmed=status != 200,
            reviewed=_digest(typed),
        )

    def _form(
        self,
        typed: dict[str, str],
        reading: declaration.Reading | None = None,
        *,
        failed: bool = False,
        kept: bool = False,
        status: int | None = None,
    ) -> Response:
        day = declaration.read_date(typed.get("measured", ""))
        return self.page(
            "citizen/declare.html",
            status or (200 if reading is None else 422),
            # A date field shows a day only in the form phones send it.
            typed=typed | ({"measured": day.isoformat()} if day else {}),
            problems=reading.problems if reading else (),
            failed=failed,
            kept=kept,
            today=now_here().date().isoformat(),
            named=_named,
            **TABLES,
        )


def _digest(typed: Mapping[str, str]) -> str:
    """What says of a form, as it was looked over, that it is this one: nothing else is saved by that page."""
    return hashlib.sha256(repr(sorted(typed.items())).encode()).hexdigest()


def _named(table: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """(code, words) of a table whose rows hold Vietnamese and English, after the number where they start with one."""
    place = LANGUAGES.index(g.language)
    return [(code, row[place + (row[0] == code)]) for code, row in table.items()]
