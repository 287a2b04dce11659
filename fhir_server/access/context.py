"""AccessContext: who is asking. Every call of the repository takes one; nothing is readable without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .scopes import Scope

# https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html
TREATMENT, EMERGENCY, PATIENT_REQUEST, OPERATIONS = "TREAT", "BTG", "PATRQT", "HOPERAT"


# What a citizen may add to their own record: what they declare, the answered form, where it came from, and consent.
CITIZEN_WRITES = frozenset(
    {
        *("AllergyIntolerance", "Condition", "Consent", "FamilyMemberHistory", "Observation", "Procedure"),
        *("Provenance", "QuestionnaireResponse"),
    }
)


@dataclass(frozen=True, slots=True)
class AccessContext:
    """The caller of an interaction.

    `actor` names the caller for the record ("open", "import", "client:<id>", "facility:<code>", "staff:<name>",
    "card:<id>"). `patient` binds the caller to the records that patient owns: everything else does not exist for them.
    `may_write` types a patient-bound caller may create. `scopes` is what an access token allows; None where no token
    limits the caller, () allows nothing. `labels` are the restricted security labels the caller may see; None is all.
    `facility` is the code of the facility that the caller works for, and `narrowed` limits it to that facility's own patients. `purpose` is a
    v3 PurposeOfUse code and `reason` what a person gave as the reason for breaking the glass. `origin` is the network
    address that the request came from and `request` its number, for the audit trail. `denials` are the Consents, `o` and
    `n`, that hide something from the facility, where they are known; only for what is answered at once.
    """

    actor: str
    patient: str | None = None
    may_write: frozenset[str] | None = None
    scopes: tuple[Scope, ...] | None = None
    labels: frozenset[str] | None = None
    facility: str | None = None
    narrowed: bool = False
    purpose: str = TREATMENT
    reason: str = field(default="", repr=False)
    origin: str = field(default="", repr=False)
    request: str = ""
    denials: tuple[dict[str, Any], ...] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def unrestricted(cls, actor: str) -> AccessContext:
        """A caller that sees everything: local tools, imports, and the server in open access on loopback."""
        return cls(actor=actor)

    @classmethod
    def for_patient(cls, patient: str, actor: str) -> AccessContext:
        """A citizen: reads what `patient` owns and adds what citizens declare and agree to."""
        return cls(
            actor=actor,
            patient=patient,
            may_write=CITIZEN_WRITES,
            purpose=PATIENT_REQUEST,
        )
