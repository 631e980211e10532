"""Slack: messages, mentions, `/countersign`, buttons and forms, over Socket Mode or signed HTTP.

`bot.surfaces.slack.surface.SlackSurface` is the door; it alone brings the vendor's libraries in.
"""
