"""Who may see and do what in the report: people and their scope, signing in, tokens for programs, the audit log."""
