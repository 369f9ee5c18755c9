"""The clinician's pages inside the EHR: the board of the patient's visits, and the one sign-in to Microsoft."""
