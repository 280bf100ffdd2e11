"""Looking: the Streamlit match viewer, over the REST API only."""
