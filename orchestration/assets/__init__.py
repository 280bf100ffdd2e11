"""The assets, one noun each: an asset's key is the name of its table in the lake."""
