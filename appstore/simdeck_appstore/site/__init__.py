"""A registry's own web site: static pages beside its documents, made with them at each build.

:mod:`.views` says what a page shows, :mod:`.text` turns what authors wrote into safe HTML, :mod:`.write` renders the
pages that changed and takes the others over. No page needs a server: search and filters run in the browser, and without
scripts the catalogue is a plain list.
"""
