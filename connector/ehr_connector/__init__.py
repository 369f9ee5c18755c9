"""The connector: the async web service that hospitals' visits run on."""
