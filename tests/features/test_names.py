"""One way to keep a name, and the spellings that mean it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.names import NameIndex, fold, normalise


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (unicodedata.normalize("NFD", "São Bento"), "São Bento"),
        ("São\u00a0Bento", "São Bento"),
        (" São\u2009 \tBento\u3000", "São Bento"),
        ("Ｓｕｄｈｅｉｍ　０４", "Sudheim 04"),
        ("\ufeffA\u200bren\u00adas\u0085\u0007 B\u2060", "Arenas B"),
        ("O\u2019Higgins", "O'Higgins"),
        ("O\u00b4Higgins", "O'Higgins"),
        ("O`Higgins", "O'Higgins"),
        ("Saint\u2013Étienne", "Saint-Étienne"),
        ("ｶﾞﾝﾊﾞ", "ガンバ"),
        ("1º de Maio", "1º de Maio"),
        ("\u200b \u3164", ""),
    ],
)
def test_a_name_is_kept_in_one_form(typed: str, kept: str) -> None:
    """Composed, in common width, with plain blanks, apostrophes and dashes, and without invisible characters."""
    assert normalise(typed) == kept


@given(st.text(max_size=30))
def test_the_kept_form_is_final_and_folds_alike(name: str) -> None:
    """Normalising and folding twice changes nothing more, for any text."""
    assert normalise(normalise(name)) == normalise(name)
    assert fold(normalise(name)) == fold(name)


@pytest.mark.parametrize("typed", ["Sudheim", "sudheim", "SÜDHEIM", "Su\u0308dheim", "Ｓüdheim", " südheim\u00a0"])
def test_spellings_of_one_club_find_it(typed: str) -> None:
    """Case, accents, composition and width do not matter as long as one club fits."""
    assert NameIndex(["Südheim", "Nordheim"]).find(typed) == ("Südheim",)


def test_clubs_that_differ_in_accents_stay_two() -> None:
    """An exact spelling finds its club, also in another case; one that fits both returns both."""
    index = NameIndex(["Südheim", "Sudheim", "Sùdheim"])
    assert index.find("Südheim") == ("Südheim",)
    assert index.find("SUDHEIM") == ("Sudheim",)
    assert set(NameIndex(["Südheim", "Sùdheim"]).find("Sudheim")) == {"Südheim", "Sùdheim"}


def test_a_name_hides_an_alias_and_a_lost_alias_is_ignored() -> None:
    """An alias never leads away from a club of that name, nor to a club that is not there."""
    index = NameIndex(["Everton", "Chelsea"], {"Chelsea": "Everton", "Toffees": "everton", "Gunners": "Arsenal"})
    assert index.find("Chelsea") == index.find("chelsea") == ("Chelsea",)
    assert index.find("TOFFEES") == ("Everton",)
    assert index.find("Gunners") == ()


def test_a_name_in_an_old_lake_is_found_by_its_new_form() -> None:
    """Names that were stored decomposed or with a no-break space are found by any spelling."""
    old = unicodedata.normalize("NFD", "São\u00a0Bento")
    assert NameIndex([old]).find("São Bento") == NameIndex([old]).find("sao bento") == (old,)


def test_marks_that_are_vowels_are_kept() -> None:
    """In scripts whose vowels or voicing are marks, folding does not merge different words."""
    assert fold("ガンバ") != fold("カンハ")
    assert fold("की") != fold("का")
