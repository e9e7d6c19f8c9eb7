"""What is stored: tables, sessions, bulk writes, migrations. Knows nothing of files or flows."""
