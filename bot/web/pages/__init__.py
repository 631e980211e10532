"""One module for each page: what it reads from core's services, and the values that its template shows."""
