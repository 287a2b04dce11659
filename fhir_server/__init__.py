"""A FHIR R4 (4.0.1) server for a whole population's health records, on MongoDB and Flask."""

__version__ = "0.1.0"
__released__ = "2026-11-24"
"""The day this version was made, for the CapabilityStatement."""
