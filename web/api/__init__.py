"""tmpenv's own HTTP interface."""
