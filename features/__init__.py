"""The football core: from matches to model input and from model input to probabilities."""
