"""The planner: which message of a coming visit is due when, and sending it once at its number's pace."""
