"""The editor from a sentence to git's objects: the grammar, the edit executor and a real repository."""
