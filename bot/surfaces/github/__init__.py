"""Comments on GitHub issues and pull requests as a surface: webhooks in, one comment per task out.

`surface` contains the surface and `rest` its REST client. Nothing is imported here, so that installations without
GitHub load none of it.
"""
