"""WeCom's side, locally: its API with its own numbers, staff who add customers, tags and mass messages, callbacks."""
