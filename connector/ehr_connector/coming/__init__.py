"""Coming visits: read ahead from the EHR into memory, by one process for each endpoint, and never written down.

From them come the links in the EHR's appointments and the patient's arrival there. To lose them costs one reading.
"""
