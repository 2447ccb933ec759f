"""The way out to the platforms: each SDK is wrapped once, its quirks stay here."""
