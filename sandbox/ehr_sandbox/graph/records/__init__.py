"""Call records: what is known about a call once it has ended."""
