"""`python -m ehr_operator plan`: what an apply would do to the outside world, told beforehand. It writes nothing."""
