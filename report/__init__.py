"""The SIS sync report: a web application for administrators, over services."""
