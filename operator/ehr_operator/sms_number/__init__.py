"""SmsNumber: one phone number, adopted or bought exactly once."""
