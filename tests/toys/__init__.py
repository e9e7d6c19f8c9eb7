"""A format and a source that Rollcall does not ship: what it takes to add one, and that nothing else has to change."""
