"""The Entra part: discovery, keys, the token endpoint, the sign-in page."""
