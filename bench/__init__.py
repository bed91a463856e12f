"""Measures that ``make bench`` prints and writes down."""
