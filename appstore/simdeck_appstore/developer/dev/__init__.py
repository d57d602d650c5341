"""`simdeck app dev`: the project's app in the browser, from its folder, loaded anew on every save.

The files, in the order a start takes: :mod:`.sources` (a Simdeck or an AiiDAlab app), :mod:`.environment` (a cached
environment from the lock, the project in it by path), :mod:`.generations` (what an install would have written, made
anew for each save), :mod:`.session` (from start to end), :mod:`.watch` (what was saved), :mod:`.extension` (the page
around the app's page, in the Jupyter server).
"""
