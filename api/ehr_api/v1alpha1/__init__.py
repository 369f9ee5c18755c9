"""The kinds of group ehrconnector.io, version v1alpha1."""
