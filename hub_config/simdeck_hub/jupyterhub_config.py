from simdeck_hub.configure import configure

configure(get_config())  # type: ignore[name-defined] # noqa: F821  (JupyterHub puts it there; plain `c.…` lines after this one win)
