"""The operator: Kopf watches, our queue reconciles."""
