"""A report inside a page of the viewer: its scripts draw figures, and reach neither the viewer nor the network."""

from __future__ import annotations

from html import escape

SANDBOX = "allow-scripts allow-popups"
"""Without `allow-same-origin`: Streamlit's own frames may read and change the viewer's page."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""The API sends the same with the report."""
MAX_HEIGHT = 50_000
_SEND_HEIGHT = """<script>
new ResizeObserver(() => parent.postMessage({reportHeight: document.documentElement.offsetHeight}, "*"))
  .observe(document.documentElement)
</script>"""
_TAKE_HEIGHT = f"""<script>
const report = document.querySelector("iframe")
addEventListener("message", event => {{
  if (event.source === report.contentWindow && event.data?.reportHeight > 0)
    report.style.height = `${{Math.min(Number(event.data.reportHeight), {MAX_HEIGHT})}}px`
}})
</script>"""


def framed(report: str, title: str) -> str:
    """A document that shows the report in a frame of its own, as high as the report is."""
    return (
        f'<!doctype html><html><head><meta http-equiv="Content-Security-Policy" content="{POLICY}"></head>'
        f'<body style="margin:0"><iframe sandbox="{SANDBOX}" title="{escape(title)}" '
        f'style="display:block;width:100%;height:600px;border:0" srcdoc="{escape(report + _SEND_HEIGHT)}"></iframe>'
        f"{_TAKE_HEIGHT}</body></html>"
    )
