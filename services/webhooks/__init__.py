"""Webhooks: posting changes of sync status to the addresses that districts name."""
