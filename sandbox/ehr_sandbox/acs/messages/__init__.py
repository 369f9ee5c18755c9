"""Text messages and e-mail of the simulated service: accepted, delivered to a page instead of to anybody's phone."""
