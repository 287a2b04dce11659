"""What the operations compute from records, apart from how they are asked for: https://hl7.org/fhir/R4/operations.html"""
