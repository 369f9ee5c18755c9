"""Contracts between the parts: resource models, conditions, the control API, CRD generation. No I/O."""
