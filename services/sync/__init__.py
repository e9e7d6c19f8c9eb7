"""One source's run, step by step."""
