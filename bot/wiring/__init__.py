"""The composition root: builds the object graph of one home."""
