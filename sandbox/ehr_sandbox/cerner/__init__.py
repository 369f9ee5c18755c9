"""A simulator of a Cerner (Oracle Health Millennium) FHIR R4 server, with people who do not exist."""
