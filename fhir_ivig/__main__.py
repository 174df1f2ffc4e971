"""`python -m fhir_ivig` is `fhir-ivig`."""

from fhir_ivig.cli import main

main()
