"""The control API (contract: `ehr_api.control`): the operator configures, asks for evidence, has probes run."""
