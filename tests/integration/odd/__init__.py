"""Deliveries with something missing, extra, odd or huge in them, by the thousand: no one is kept from being heard."""
