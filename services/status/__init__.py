"""Sync statuses, the SIS sync report, and issues as they are shown."""
