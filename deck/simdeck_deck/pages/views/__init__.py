"""Pure builders: the API's JSON in, what a template shows out. No I/O, no clock of their own (``now`` is passed in)."""
