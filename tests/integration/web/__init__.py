"""The web server over real connections."""
