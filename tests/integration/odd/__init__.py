"""Deliveries with something missing, extra, odd or huge in them, by the thousand: nobody is kept from being heard."""
