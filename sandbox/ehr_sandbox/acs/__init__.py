"""A simulator of Azure Communication Services: it sells numbers that do not exist, and texts and e-mails nobody."""
