"""The pages as an HTTP application: who may reach them, sessions, headers and live updates."""
