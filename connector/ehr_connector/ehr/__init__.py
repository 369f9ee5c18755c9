"""The way to the EHR: guarded connections, system tokens, and appointments read as bookings."""
