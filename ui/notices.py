"""What a page shows instead of data: an API failure with its remedy, or a notice that there is nothing yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from ui.api_client import ApiError, NotReadyError, UnauthorizedError, UnreachableError


@contextmanager
def explain_api_errors() -> Iterator[None]:
    """Show an API failure as what happened and what to do, in place of the rest of the page."""
    try:
        yield
    except UnreachableError as error:
        st.error(f"**The API is not reachable.** {error}", icon=":material/cloud_off:")
        st.markdown(
            "If you run Touchline on this machine, start it with `make up` and wait until it prints its addresses. "
            "If the API runs elsewhere, set `TOUCHLINE_API_URL` for this viewer."
        )
        _retry_button()
    except NotReadyError as error:
        st.warning(f"**Not ready yet.** {error}", icon=":material/hourglass_top:")
        st.markdown(
            "A part behind the API is starting or missing; `/healthcheck/ready` of the API says which. "
            "On a first start this passes once the pipeline has run."
        )
        _retry_button()
    except UnauthorizedError as error:
        st.error(f"**The API wants a key.** {error}", icon=":material/lock:")
        st.markdown("Start this viewer with `TOUCHLINE_API_KEY` set to a key that the API knows.")
    except ApiError as error:
        st.error(str(error), icon=":material/error:")


def _retry_button() -> None:
    st.button("Try again", icon=":material/refresh:", key="retry")


def notice(title: str, hint: str) -> None:
    """A calm notice where there is nothing to show yet."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(f"**{title}**")
        st.markdown(hint)
