"""The assets. An asset's key is also the name of its table or report in the lake."""
