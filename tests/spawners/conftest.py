from simdeck_spawners.testing import make_world, world

__all__ = ["make_world", "world"]
