"""The reports' pages, downloads and JSON API, and who may read them."""
