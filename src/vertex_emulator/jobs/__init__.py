"""CustomJobs: the API, the rules, the life of a job and its containers."""
