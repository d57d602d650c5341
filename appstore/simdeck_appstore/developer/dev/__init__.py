"""`simdeck app dev`: the project's app in the browser, from its folder, loaded anew on every save.

The files, in the order a start takes: :mod:`.environment` (a cached environment from the lock, the project editable in
it), :mod:`.generations` (what an install would have written, made anew for each save), :mod:`.session` (the processes
and their end), :mod:`.watch` (what was saved), :mod:`.extension` (the page around the app's page, in the Jupyter
server).
"""
