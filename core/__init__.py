"""The domain of Countersign: its model, rules, services, jobs, queue and store."""
