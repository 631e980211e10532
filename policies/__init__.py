"""The law of Countersign: what may be asked for, what may be changed, and who must countersign it."""
