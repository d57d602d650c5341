"""Spawners for the hub: how a user's Jupyter server is started, watched and found again."""
