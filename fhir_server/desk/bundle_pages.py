"""The integrator's page: drop a Bundle, try it without storing anything, send it, send again what failed."""

from __future__ import annotations

from flask import Response, request

from fhir_server.desk.sending import attempt, read_bundle, send
from fhir_server.desk.visiting import Visiting
from fhir_server.errors import FhirError


class BundlePages(Visiting):
    """What integrators try their messages with."""

    def bundle(self) -> Response:
        """The form."""
        return self.page("desk/bundle.html", sent=None, text="", issues=[], stored=False)

    def sent(self) -> Response:
        """Try or send the Bundle of a file or of the field."""
        text = request.form.get("text", "")
        file = request.files.get("file")
        content = file.read() if file is not None and file.filename else text.encode("utf-8", "replace")
        try:
            bundle = read_bundle(content)
        except FhirError as error:
            return self.page("desk/bundle.html", 422, sent=None, text=text, issues=error.issues, stored=False)
        storing = request.form.get("action") == "send"
        sent = (send if storing else attempt)(self.repository, self.ctx, bundle)
        shown = sent.again or ("" if storing else content.decode("utf-8", "replace"))
        return self.page("desk/bundle.html", sent=sent, text=shown, issues=[], stored=storing)
