"""QR cards at the desk: issue, reissue, revoke, and another PIN, each with a reason that the audit trail keeps."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from flask import Response, request, url_for

from fhir_server.access import audit_record
from fhir_server.citizen.cards import cards_in_force, issue_card, reissue_card, reset_pin, revoke_card
from fhir_server.citizen.person import person_of
from fhir_server.desk.visiting import Visiting, see
from fhir_server.errors import Gone, NotFound
from fhir_server.resource import exact

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext


class CardPages(Visiting):
    """What staff do with cards. The reason is asked first, so that it stands beside whatever is read for it."""

    def act(self, id: str) -> Response:
        """Carry out the `action` of the form on a card or the cards of a person."""
        ctx = self.because()
        if ctx is None:
            return self.refuse("desk.refused.reason")
        try:
            person = person_of(exact.parse(self.repository.read(ctx, "Patient", id).json or b"{}"))
        except (NotFound, Gone):
            return self.missing()
        action, card = request.form.get("action", ""), request.form.get("card", "")
        if action in ("issue", "reissue"):
            audit_record.happened("card", ctx, patient=id)
            return self._printed(ctx, id, action)
        if card not in {each.id for each in cards_in_force(self.repository, id)}:
            return self.missing()
        if action == "revoke":
            audit_record.happened("card", ctx, patient=id)
            revoke_card(self.repository, card)
            return see(url_for("desk.person", id=id, told="revoked"))
        if action == "pin":
            audit_record.happened("pin", ctx, patient=id)
            return self.page(
                "desk/card_issued.html", card=None, pin=reset_pin(self.repository, card), person=person, id=id
            )
        return self.missing()

    def _printed(self, ctx: AccessContext, id: str, action: str) -> Response:
        """The new card, shown this once: not even this server can tell its token again."""
        make = reissue_card if action == "reissue" else issue_card
        card = make(self.repository, ctx, id, public_url=self.config.public_url)
        picture = "data:image/png;base64," + b64encode(card.qr_png()).decode("ascii")
        return self.page("desk/card_issued.html", card=card, picture=picture, pin=card.pin, person=card.person, id=id)
