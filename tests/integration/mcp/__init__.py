"""Tests of the MCP server with the official SDK as its client."""
