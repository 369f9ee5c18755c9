"""The Graph part: users, online meetings, subscriptions, call records."""
