"""The hub service: pages and REST API, each request routed to its user's agent."""
