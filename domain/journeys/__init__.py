"""Journeys: what happens to people after something happened to them, as versioned documents that the engine walks."""
