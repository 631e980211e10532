"""What operators run: serve, doctor, init, backup, verification, statistics."""
