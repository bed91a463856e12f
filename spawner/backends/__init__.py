"""What runs environments; each module is the only importer of its SDK."""
