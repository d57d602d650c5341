"""The hub's configuration: site file, roles and scopes, sign-in, templates and the simdeck command."""
