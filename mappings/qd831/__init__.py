"""The personal health record of QĐ 831/QĐ-BYT (2017), between its XML and FHIR in both directions."""
