"""The shared workflow backend: run store, AiiDA worker, input schemas, and the light client."""
