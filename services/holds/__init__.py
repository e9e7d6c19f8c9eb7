"""Holds: what stops a school's sync, why, what it shows, and what people decide about it."""
