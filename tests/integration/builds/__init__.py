"""The life of builds, on a real Redis, with sources and engines that fail as they are told."""
