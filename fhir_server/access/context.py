"""AccessContext: who is asking. Every call of the repository takes one; nothing is readable without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessContext:
    """The caller of an interaction.

    `actor` names the caller for the record ("open", "import", "card:<id>"). `patient` binds the caller to the records
    that patient owns: everything else does not exist for them. `may_write` types a patient-bound caller may create.
    """

    actor: str
    patient: str | None = None
    may_write: frozenset[str] | None = None

    @classmethod
    def unrestricted(cls, actor: str) -> AccessContext:
        """A caller that sees everything: local tools, imports, and the server in open access on loopback."""
        return cls(actor=actor)

    @classmethod
    def for_patient(cls, patient: str, actor: str) -> AccessContext:
        """A citizen: reads what `patient` owns and adds self-declared observations and allergies to it."""
        return cls(actor=actor, patient=patient, may_write=frozenset({"Observation", "AllergyIntolerance"}))
