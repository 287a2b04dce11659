"""Pure translations of what Vietnamese sources send into FHIR R4: no clock, no randomness, no database, no web."""
