"""The database. No table has a column that could hold patient data."""
