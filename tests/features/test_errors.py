"""Codes of errors are public: clients compare them."""

from __future__ import annotations

from features import errors

CODES = {
    "InvalidInputError": "invalid-input",
    "UnknownTeamError": "unknown-team",
    "UnknownMatchError": "unknown-match",
    "UnknownCompetitionError": "unknown-competition",
    "SourceError": "source-error",
    "LeakageError": "leakage-error",
    "NotPublishedError": "not-published",
    "CorruptArtefactError": "damaged-artefact",
    "StorageUnavailableError": "storage-unavailable",
    "ModelUnavailableError": "model-unavailable",
    "PromotionBlockedError": "promotion-blocked",
    "TouchlineError": "touchline-error",
}


def test_every_error_declares_its_public_code() -> None:
    """A rename of a class must not change its problem type."""
    declared = {name: vars(kind).get("code") for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name: code for name, code in declared.items() if name.endswith("Error")} == CODES
