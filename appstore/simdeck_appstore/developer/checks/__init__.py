"""What the checks of an app look at, one module a question; :mod:`simdeck_appstore.developer.check` asks them all."""
