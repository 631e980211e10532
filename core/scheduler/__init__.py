"""The scheduler of models on endpoints: which waiting demand runs next, where, and which family is loaded for it.

Pure and incremental: events in, decisions out. The live queue and the simulator drive the same object.
"""
