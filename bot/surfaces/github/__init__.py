"""Comments of issues and pull requests at GitHub as a surface: webhooks in, one sticky comment a task out.

`bot.surfaces.github.surface` has the surface and `bot.surfaces.github.rest` its way to GitHub's REST interface. Nothing
is imported here, so that whoever does not use GitHub loads none of it.
"""
