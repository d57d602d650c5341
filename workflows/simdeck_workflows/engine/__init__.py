"""Everything that knows AiiDA. It runs in the backend's environment; no other part of Simdeck imports it."""
