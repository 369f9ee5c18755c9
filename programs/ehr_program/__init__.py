"""What every program of ours does at its start: read its settings, and log as JSON."""
