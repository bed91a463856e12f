"""The commands of ``tmpenv``, one module for each."""
