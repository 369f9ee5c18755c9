"""Microsoft Entra ID by msal: tokens of the application itself, and the sign-in of a person.

Source: Microsoft identity platform, "OAuth 2.0 client credentials flow" and "authorization code flow".
"""
