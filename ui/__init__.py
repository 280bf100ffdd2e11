"""Looking: the Streamlit match viewer, over the REST API only.

Run from the root of the repository:

    TOUCHLINE_API_URL=http://127.0.0.1:8000 python -m streamlit run ui/streamlit_app.py --server.port 8501

`python -m` puts the checkout on the path, so nothing needs installing. Theme and server options come from
`ui/.streamlit/config.toml`, which Streamlit finds beside the script whatever the working directory is.
Behind a path, add `--server.baseUrlPath ui`; the health check is then `/ui/_stcore/health`.
"""
