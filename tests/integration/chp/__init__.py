"""The data path on the wire: raw sockets on both sides of a real proxy."""
