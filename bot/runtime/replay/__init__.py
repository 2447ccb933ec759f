"""A year of a shop that never was, replayed in minutes: everything that runs by itself, and an auditor who believes
only the phones."""
