"""The heart of Countersign: the domain, its rules of motion, and the store that remembers them."""
