"""The pages of a new home: setting it up by a link from the terminal, before there is anything else to serve."""
