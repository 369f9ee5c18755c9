"""Reports: what was used, how well it worked, and who changed what. Rows hold no identities."""
