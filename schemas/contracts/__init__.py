"""The sample domain: a contact centre."""
