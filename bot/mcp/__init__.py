"""The MCP server: tools with which other programs ask for changes and read tasks, and which decide nothing."""
