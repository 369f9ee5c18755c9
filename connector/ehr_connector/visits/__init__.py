"""Visits: what a visit is, its links, its Teams meeting, what happens in it, and the pages that show it."""
