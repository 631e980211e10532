"""Running jobs: claims, the worker, its engine, and the reconciler that returns lost jobs to the queue."""
