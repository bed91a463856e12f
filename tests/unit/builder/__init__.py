"""The parts of builds that need nothing outside the process."""
