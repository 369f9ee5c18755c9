"""A simulator of Azure Communication Services phone numbers: it sells numbers that do not exist, for no money."""
