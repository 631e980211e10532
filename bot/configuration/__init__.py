"""Reading countersign.yaml, and the settings that follow from a home's files."""
