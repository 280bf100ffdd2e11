"""The assets. The key of an asset is the name of its table in the lake, as is the name of its module."""
