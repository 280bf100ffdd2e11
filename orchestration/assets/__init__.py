"""The artefacts, one noun each: an asset's key is the name of its table in the lake."""
