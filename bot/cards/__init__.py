"""Cards: what people see of a task, computed once for every surface; each surface renders them."""
