"""Alembic's migrations, one file per step, numbered: versions/0001_words.py.

After a change of `models.tables`, ``python -m models.migrations WORDS`` writes the next one. Read it then: rows already
stored must come through, on SQLite and on PostgreSQL.
"""
