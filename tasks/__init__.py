"""The services' steps as Prefect tasks: name, retries, logging, artifacts, and nothing else."""
