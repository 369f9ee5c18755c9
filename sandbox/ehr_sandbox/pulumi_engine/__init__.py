"""Pulumi's engine for tests and `make preview`: found, or built, and run against the stand-in for Azure."""
