"""One module per remote system, one error tree, one file of limits: the only place with an HTTP client."""
