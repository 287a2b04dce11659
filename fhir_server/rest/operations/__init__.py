"""Operations over HTTP, one file per $operation: https://hl7.org/fhir/R4/operations.html

A new operation is a module with a function (Service, Call) -> Answer and a row in `registry.OPERATIONS`. The routes, the
entries of a batch and the CapabilityStatement follow from the row.
"""
