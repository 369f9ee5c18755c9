"""A real Chromium for the played visit and the browser tests: the user's, or one that is fetched without any rights."""
