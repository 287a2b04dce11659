"""Codes: what is in a value set, what a code means, what it is mapped to. https://hl7.org/fhir/R4/terminology-service.html"""
