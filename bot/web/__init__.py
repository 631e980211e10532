"""What is served over HTTP: the surfaces' webhooks; later the dashboard."""
