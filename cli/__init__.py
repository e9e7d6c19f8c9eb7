"""The command line: what operators type, and what they read.

A module for each group of commands, each command a few lines over services and flows.
"""
