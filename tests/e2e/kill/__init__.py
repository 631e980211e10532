"""Processes killed, stopped and robbed of their files between every two effects of a task."""
