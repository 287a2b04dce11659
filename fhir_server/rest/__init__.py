"""FHIR over HTTP: one module per interaction, and one per thing an HTTP exchange needs (negotiation, preconditions, ...).

https://hl7.org/fhir/R4/http.html
"""
