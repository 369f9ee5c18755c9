"""EHR launches (SMART App Launch 2.2): from the EHR's frame to a session of ours, with one Microsoft sign-in.

Everything that a launch needs to remember travels sealed with the browser, so every replica can go on with it; what may
happen once is claimed in the database.
"""
