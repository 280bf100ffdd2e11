"""The documents: short enough to read, and every name in them exists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.io.setting_names import unknown_variables
from orchestration.local.cli import main
from tests.support.makefile import targets

MAX_WORDS, MAX_SENTENCE_WORDS = 1_100, 35
CHANGELOG = ".github/CHANGELOG.md"
"""It names things that no longer exist, so only its links are checked."""


@pytest.fixture(scope="module")
def documents(repository: Path) -> dict[str, str]:
    """Text of every Markdown file that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    return {
        name: (repository / name).read_text() for name in listed.stdout.splitlines() if (repository / name).exists()
    }


@pytest.fixture(scope="module")
def current(documents: dict[str, str]) -> dict[str, str]:
    """The documents that describe the current tree."""
    return {name: text for name, text in documents.items() if name != CHANGELOG}


def code(text: str) -> str:
    """Code spans and code blocks, one per line."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return "\n".join([*fenced, *re.findall(r"^ {4}(.*)$", prose, re.M), *re.findall(r"`([^`]+)`", prose)])


def sentences(text: str) -> Iterator[str]:
    """Sentences of paragraphs, list items and table cells; neither code nor link targets."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    prose = re.sub(r"^ {4}\S.*$", "", prose, flags=re.M)
    prose = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", prose)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.|\||#) ?)|\|", prose):
        yield from re.split(r"(?<=[.!?])\s+", " ".join(block.split()))


def anchors(text: str) -> set[str]:
    """The link targets of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_can_be_read_in_one_go(documents: dict[str, str]) -> None:
    assert len(documents["README.md"].split()) <= MAX_WORDS
    long = [sentence for sentence in sentences(documents["README.md"]) if len(sentence.split()) > MAX_SENTENCE_WORDS]
    assert long == []


def test_sentences_are_found() -> None:
    """Headings, list items and cells end a sentence. Code is not a sentence."""
    text = "# Title\n\nOne two. Three\nfour:\n\n- five [six](seven)\n- `eight`\n\n    code here\n\n| nine | ten |\n"
    cleaned = [sentence for sentence in sentences(text) if sentence]
    assert cleaned == ["# Title", "One two.", "Three four:", "- five six", "- `eight`", "nine", "ten"]


def test_every_relative_link_leads_somewhere(documents: dict[str, str], repository: Path) -> None:
    for name, text in documents.items():
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            path, _, anchor = link.partition("#")
            target = (repository / name).parent / path if path else repository / name
            assert target.exists(), f"{name} links to {link}"
            if anchor:
                assert anchor in anchors(target.read_text()), f"{name} links to {link}"


def test_every_make_target_in_the_docs_exists(current: dict[str, str], repository: Path) -> None:
    existing = targets(repository)
    for name, text in current.items():
        for target in re.findall(r"(?:^|[\s;&|])make ([a-z][a-z-]*)", code(text), re.M):
            assert target in existing, f"{name} names `make {target}`"


def test_every_subcommand_in_the_docs_exists(current: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    (listed,) = set(re.findall(r"\{([\w,-]+)\}", capsys.readouterr().out))
    for name, text in current.items():
        for command in re.findall(r"^(?:\S*/)?touchline ([a-z][a-z-]*)", code(text), re.M):
            assert command in listed.split(","), f"{name} names `touchline {command}`"


def test_every_launched_job_in_the_docs_exists(current: dict[str, str], repository: Path) -> None:
    jobs = (repository / "orchestration" / "jobs.py").read_text()
    for name, text in current.items():
        for job in re.findall(r"touchline launch ([a-z_]+)", code(text)):
            assert re.search(rf"\b{job}\b", jobs), f"{name} launches {job}"


def test_every_setting_in_the_docs_exists(current: dict[str, str]) -> None:
    for name, text in current.items():
        assert unknown_variables(re.findall(r"\bTOUCHLINE_[A-Z0-9_]*[A-Z0-9]\b", text)) == [], name


def test_every_module_that_the_docs_run_exists(current: dict[str, str], repository: Path) -> None:
    packages = "features|monitoring|orchestration|serving|ui|tests"
    for name, text in current.items():
        for module in re.findall(rf"python -m ((?:{packages})\.[\w.]*\w)", code(text)):
            path = repository / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{name} runs {module}"


def test_every_file_that_the_docs_name_exists(current: dict[str, str], repository: Path) -> None:
    folders = r"features|monitoring|orchestration|serving|ui|helm|tests|\.ci|\.github"
    for name, text in current.items():
        for path in re.findall(
            rf"(?:^|[\s`])((?:{folders})/[\w./-]*\w\.(?:py|yaml|json|md|csv|tpl))\b", code(text), re.M
        ):
            assert (repository / path).exists(), f"{name} names {path}"
