"""Stand-in for Entra ID, Microsoft Graph and Teams meetings, on one address."""
