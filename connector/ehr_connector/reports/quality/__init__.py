"""Call quality: figures from call records, what counts as poor, and what reports tell of it."""
