"""Change notifications: subscriptions to them, what is in them, and their delivery."""
