"""Rehearsals: lives of a shop that never was, to measure rules before and after somebody turns their numbers."""
