"""Slack: messages, mentions, `/countersign`, buttons and forms, over Socket Mode or signed HTTP.

Use `bot.surfaces.slack.surface.SlackSurface`; only that module imports the vendor's libraries.
"""
