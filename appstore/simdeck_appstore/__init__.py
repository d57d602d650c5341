"""The app store: manifests, registry, installer."""
