"""Starts the viewer: `python -m ui`. Options are those of `streamlit run`."""

from __future__ import annotations

import sys
from pathlib import Path

from ui.environment import certificate_problem, remove_streamlit_variables


def main() -> None:
    """Run Streamlit without the variables of other apps; ends with one sentence if no request could be sent."""
    if problem := certificate_problem():
        sys.exit(problem)
    remove_streamlit_variables()
    from streamlit.web.cli import main as streamlit  # reads the variables

    streamlit(["run", str(Path(__file__).with_name("streamlit_app.py")), *sys.argv[1:]], prog_name="streamlit")


if __name__ == "__main__":
    main()
