"""The FirecREST-compatible HPC API."""
