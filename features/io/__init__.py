"""Adapters: where matches come from, where artefacts are kept, where models are registered."""
