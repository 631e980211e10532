"""Cards: what people see of a task, computed once for every surface; rendering is up to each surface."""
