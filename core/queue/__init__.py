"""Running jobs: the claim, the worker, the engine it runs on, and what returns lost jobs to the queue."""
