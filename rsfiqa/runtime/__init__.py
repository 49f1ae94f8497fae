"""How work runs: shards, devices, memory."""
