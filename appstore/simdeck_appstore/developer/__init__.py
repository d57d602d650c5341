"""For app developers: a project from a template, its lock, and the checks the store runs."""
