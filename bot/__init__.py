"""The doors: surfaces, cards, the command line, and the wiring of everything."""
