"""What Rollcall does: plain functions over contracts and models. The caller owns the transaction; no Prefect."""
