"""What comes back: delivery reports of the provider, and the texts that patients send."""
