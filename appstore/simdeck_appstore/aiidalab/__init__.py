"""AiiDAlab apps, unchanged: reading them, offering and installing them, and reading AiiDAlab's own registry."""
