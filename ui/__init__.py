"""The Streamlit match viewer, a client of the REST API.

Run it from the root of the repository:

    TOUCHLINE_API_URL=http://127.0.0.1:8000 python -m ui --server.port 8501

`python -m` puts the checkout on the import path, so no installation is needed. Options are those of `streamlit run`;
variables such as STREAMLIT_SERVER_PORT, which may be set for another app, are ignored. Streamlit reads the theme and
server options from `ui/.streamlit/config.toml` in any working directory. To serve the viewer under a path, add
`--server.baseUrlPath ui`; the health check is then `/ui/_stcore/health`.
"""
