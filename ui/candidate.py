"""The candidate for production: what the promotion gate says about it."""

from __future__ import annotations

import streamlit as st

from ui.api_client import NotFoundError
from ui.api_models import ProductionComparison, PromotionGate, Witness
from ui.markdown_text import as_text
from ui.resources import api

CONDITIONS = {
    "enough_matches": "Enough matches",
    "trained_before_evaluation": "Judged by matches after its training",
    "beats_base_rate": "Better than the base rate",
    "beats_plain_elo": "Better than plain Elo",
    "not_worse_than_production": "Not worse than production",
    "calibrated": "Calibrated",
    "data_checks_pass": "Data checks pass",
    "drift_reviewed": "No drift that nobody has reviewed",
    "approved": "Approved by a person",
}


def candidate() -> None:
    """Show the conditions and the comparison with production; nothing if no version waits."""
    try:
        gate = api().gate()
    except NotFoundError:
        return
    if gate.candidate is None or gate.candidate == gate.production:
        return
    st.header(f"Candidate: version {gate.candidate}", divider="gray")
    st.markdown(_verdict(gate))
    st.markdown(
        "\n".join(
            f"- {'✓' if condition.passed else '✗'} "
            f"**{as_text(CONDITIONS.get(condition.name, condition.name))}:** {as_text(condition.why)}"
            for condition in gate.conditions
        )
    )
    if gate.comparison is not None and gate.comparison.results.n:
        _witnesses(gate.comparison)


def _verdict(gate: PromotionGate) -> str:
    other = "production" if gate.production is None else f"version {gate.production}, which is in production"
    if gate.passed:
        return f"Every condition is met: the next promotion run lets it replace {other}."
    failed = sum(not condition.passed for condition in gate.conditions)
    return f"It does not replace {other}, as long as {failed} of {len(gate.conditions)} conditions are not met."


def _witnesses(comparison: ProductionComparison) -> None:
    st.subheader("Against production, on the same matches")
    lines = [f"- **By results:** {_sentence(comparison.results)}"]
    if comparison.market is not None:
        rejection = (
            f" They do not count: {as_text(comparison.market_rejection)}." if comparison.market_rejection else ""
        )
        lines.append(f"- **By closing odds:** {_sentence(comparison.market)}{rejection}")
    st.markdown("\n".join(lines))
    st.caption(
        "A difference in RPS below zero means that the candidate is better. The bounds hold with 95% probability, "
        f"however often one looks. It is not worse once an upper bound is below {comparison.margin:g}."
    )


def _sentence(witness: Witness) -> str:
    parts = [f"{witness.n} matches, difference {_signed(witness.mean)}"]
    if witness.low is not None and witness.high is not None:
        parts.append(f", between {_signed(witness.low)} and {_signed(witness.high)}")
    if witness.needed is None:
        parts.append(". As it stands, no number of matches would be enough")
    elif witness.needed > witness.n:
        parts.append(f". {witness.needed} matches would be enough if later ones are like these")
        if witness.expected_on is not None:
            parts.append(f", expected by {witness.expected_on:%-d %B %Y}")
    return f"{''.join(parts)}."


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.4f}".replace("-", "−")
