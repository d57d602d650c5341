"""Copies of what must not be lost: a folder as one checked stream (`pack`), and the folder made from it (`unpack`).

Both run as the user whose folder it is, each as a process of its own, because only that user's rights fit the files.
Nothing here imports AiiDA.
"""
