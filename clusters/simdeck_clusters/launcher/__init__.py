"""Becoming a user: ``simdeck_launch.py`` is the one program the service may run as somebody else.

It is installed by itself (``install``), so nothing here is imported by it and it imports nothing of ours.
"""
