"""The file of a logged model: checked before anything in it is used, and loaded with our own types alone.

Whoever reaches the registry can log a version. A pickle runs code as soon as it is read, and MLflow's own loader trusts
every type that an artefact names for itself.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile

from features.errors import ModelUnavailableError

FILE = "model.skops"
DIGEST_TAG = "model_sha256"
"""Tag of a version: SHA-256 of its file. Versions of earlier releases have none."""

RECIPE_TAG = "model_recipe"
"""Tag of a version: the recipe that its model was made by; missing if it is the platform's own model."""

SUBMITTED_TAG = "submitted_as"
"""Tag of a version: the name under which its model was submitted; missing if it was not (`features.io.submissions`)."""

MAX_BYTES = 64 * 1024 * 1024
"""Largest file, packed and unpacked. A model has 0.02 to 0.2 MB."""


class TypeRules(Protocol):
    """What a model may consist of: `features.recipes.Recipe`, or `SubmittedTypes`."""

    def model_type(self) -> type[Any]:
        """Return a class that the estimator is an instance of."""
        ...

    def all_trusted_types(self) -> tuple[str, ...]:
        """Return the import paths of the types that are loaded, beside those that skops trusts by itself."""
        ...


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_format(flavours: Mapping[str, Any]) -> None:
    """Raise ModelUnavailableError unless a model is stored as the file `FILE` in the format of skops.

    Parameters
    ----------
    flavours : the field `flavors` of MLflow's description of the model.
    """
    flavour = flavours.get("sklearn") or {}
    stored_as = flavour.get("serialization_format", "pickle")
    if stored_as != "skops":
        raise ModelUnavailableError(f"its artefact is stored as {str(stored_as)[:40]!r}; only skops is loaded")
    if (file := flavour.get("pickled_model")) != FILE:
        raise ModelUnavailableError(f"its artefact is {str(file)[:80]!r}, not {FILE}")


def check_size(size: int | None) -> None:
    """Raise ModelUnavailableError if a file is too large."""
    if size is not None and size > MAX_BYTES:
        raise ModelUnavailableError(f"its artefact has {size:,} bytes; at most {MAX_BYTES:,} are loaded")


def untrusted_types(estimator: Any, trusted: Sequence[str]) -> list[str]:
    """Return the import paths of all types in an estimator that neither skops nor `trusted` names.

    Raises
    ------
    ModelUnavailableError
        If its file would be too large to be loaded.
    """
    import skops.io

    data = skops.io.dumps(estimator)
    with ZipFile(BytesIO(data)) as archive:
        check_size(max(len(data), sum(member.file_size for member in archive.infolist())))
    return sorted(set(skops.io.get_untrusted_types(data=data)) - set(trusted))


def load(file: Path, expected_digest: str | None = None, rules: TypeRules | None = None) -> Any:
    """Load the estimator of a file.

    Parameters
    ----------
    expected_digest : SHA-256 that was recorded when the model was logged; None if none was.
    rules : the installed recipe that the model was made by, or the rules of submitted models; None for the platform's
        own model. Only the types that these trust are loaded.

    Raises
    ------
    ModelUnavailableError
        If the file is too large, is not the recorded one, is damaged, or contains a type that is not trusted.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    from features.models import TRUSTED_TYPES  # imported here: it loads scikit-learn

    _check_file(file, expected_digest)
    trusted = TRUSTED_TYPES if rules is None else rules.all_trusted_types()
    models = tuple(map(_class, TRUSTED_TYPES)) if rules is None else (rules.model_type(),)
    try:
        estimator = skops.io.load(file, trusted=list(trusted))
    except UntrustedTypesFoundException as error:
        raise ModelUnavailableError(f"its artefact contains types that are not trusted: {str(error)[:300]}") from error
    except Exception as error:  # skops raises whatever its reading of a damaged file leads to
        raise ModelUnavailableError(f"its artefact is damaged: {error!r}"[:300]) from error
    if not isinstance(estimator, models) or not hasattr(estimator, "predict_proba"):
        kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        owner = "this package" if rules is None else "its recipe"
        raise ModelUnavailableError(f"its artefact holds {kind}, which is no model of {owner}")
    return estimator


def _check_file(file: Path, expected_digest: str | None) -> None:
    check_size(file.stat().st_size)
    if expected_digest is not None and (actual := digest(file)) != expected_digest:
        raise ModelUnavailableError(
            f"its artefact is not the one that was logged: the SHA-256 is {actual[:16]}…, the tag {DIGEST_TAG} says "
            f"{expected_digest[:16]}…"
        )
    try:
        with ZipFile(file) as archive:
            check_size(sum(member.file_size for member in archive.infolist()))
    except BadZipFile as error:
        raise ModelUnavailableError(f"its artefact is not a file of skops: {error}") from error


def _class(path: str) -> type[Any]:
    module, _, name = path.rpartition(".")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found
