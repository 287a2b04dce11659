"""`python -m fhir_server.cli` is `fhir-server`."""

from fhir_server.cli import main

main(prog_name="fhir-server")
