"""The Teams part: who is in a meeting, and the page behind its join URL."""
