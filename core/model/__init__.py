"""Values and rules of the domain: no input, no output, no clock."""
