"""Judgements: is the data sound, did it drift, how good were the forecasts, may a model be promoted."""
