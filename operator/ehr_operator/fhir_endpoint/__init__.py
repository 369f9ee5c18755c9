"""FhirEndpoint: one FHIR base URL, validated, promoted and recorded."""
