"""How well a league of ten clubs is forecast in its first seasons: `python -m tests.benchmarks.newcomers [FOLDER]`.

Cuts small leagues out of real ones: the matches among ten clubs of a first tier, over five seasons. Each season is
forecast by a head that knows the cut's earlier seasons only, shrunk with several strengths towards a head of the
bundled league; `own` is the head without shrinkage. The base rate is that of the cut's earlier seasons but its first,
and that of the bundled league in the first two. FOLDER holds files in football-data.co.uk's layout, by default those of
the tests. It takes 20 s.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from features.io.sources import bundled
from features.matches import outcomes
from features.metrics import base_rate
from features.models import outcome_model
from features.prior_head import FEW_MATCHES, PriorHeads
from tests.support.small_leagues import CLUBS, cuts, leagues, scores

PULLS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def main(folder: Path) -> None:
    """Print the mean RPS by number of earlier seasons, and each forecaster's difference to the base rate."""
    league = bundled.load()
    priors = PriorHeads(league, outcome_model)
    general = base_rate(outcomes(league[league["season"] < "2017-18"]))
    collected: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    n_cuts = 0
    for table in leagues(folder):
        for cut in cuts(table):
            n_cuts += 1
            for number, name, values in scores(cut, priors, general, PULLS):
                collected[number, name].append(values)
    sys.stdout.write(f"{n_cuts} cuts of {CLUBS} clubs; the head is shrunk below {FEW_MATCHES} training matches\n")
    for number in sorted({number for number, _ in collected}):
        base = np.concatenate(collected[number, "base rate"])
        title = "first round" if number < 0 else f"{number} earlier seasons"
        sys.stdout.write(f"\n{title}: {len(base)} matches, base rate {base.mean():.4f}\n")
        for name in (*map("{:g}".format, PULLS), "own"):
            if (number, name) in collected:
                difference = np.concatenate(collected[number, name]) - base
                error = difference.std(ddof=1) / np.sqrt(len(difference))
                sys.stdout.write(
                    f"  {name:>6} {base.mean() + difference.mean():.5f}  {difference.mean():+.5f} ± {error:.5f}\n"
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[3] / "shared/data/footballdata")
