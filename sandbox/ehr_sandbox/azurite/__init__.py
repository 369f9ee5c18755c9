"""Azurite, Microsoft's own emulator of Azure Storage, of which the sandbox runs the queue."""
