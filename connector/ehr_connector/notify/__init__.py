"""Messages to patients: what they say, whom they reach, whether they may be sent, and sending them once."""
