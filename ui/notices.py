"""What a page shows instead of data: an API error and what to do about it, or a notice that there is no data yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from ui.api_client import ApiError, BadRequestError, NotReadyError, UnauthorizedError, UnreachableError
from ui.markdown_text import as_text


@contextmanager
def explain_api_errors() -> Iterator[None]:
    """Replace the rest of the page with what failed and what to do about it."""
    try:
        yield
    except UnreachableError as error:  # a text of our own, with the address that the viewer was given
        st.error(f"**The API is not reachable.** {error}", icon=":material/cloud_off:")
        st.markdown(
            "If Touchline runs on this machine, start it with `make up` and wait until it prints its addresses. "
            "If the API runs elsewhere, start this viewer with `TOUCHLINE_API_URL` set to its address."
        )
        _retry_button()
    except NotReadyError as error:
        st.warning(f"**Not ready yet.** {as_text(error)}", icon=":material/hourglass_top:")
        st.markdown(
            "A service behind the API is starting or missing; `GET /healthcheck/ready` of the API shows which one. "
            "On a first start, wait until the first pipeline run has finished."
        )
        _retry_button()
    except UnauthorizedError as error:
        st.error(f"**The API requires a valid key.** {as_text(error)}", icon=":material/lock:")
        st.markdown("Start this viewer with `TOUCHLINE_API_KEY` set to a key that the API accepts.")
    except BadRequestError as error:
        st.error(f"**The API rejected the request.** {as_text(error)}", icon=":material/error:")
        st.markdown("Change the filters, or remove the part of the page address after the question mark.")
    except ApiError as error:
        st.error(f"**The page could not be loaded.** {as_text(error)}", icon=":material/error:")
        _retry_button()


def _retry_button() -> None:
    st.button("Try again", icon=":material/refresh:", key="retry")


def notice(title: str, hint: str) -> None:
    """Say in a neutral box what is missing and what to do."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(f"**{title}**")
        st.markdown(hint)
