"""The inventory: what each model server has loaded and could load, and the memory of this host."""
