"""What operators do now and then: setup, maintenance pauses, housekeeping, backups."""
