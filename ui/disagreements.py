"""The samples that A and B see most differently."""

import numpy as np
import streamlit as st

from learnability.agreement import mid_ranks
from learnability.datasets import Dataset
from ui import details, gallery, listing, trust, words
from ui.series import Series, joined

FIRST = 12


def furthest(made: Series, b: Series, count: int) -> np.ndarray:
    """Sample ids, the largest difference first; ties by sample id. Other scores are compared by rank."""
    rows_a, rows_b, ids = joined(made, b)
    x, y = trust.easier_up(made, made.score_N[rows_a]), trust.easier_up(b, b.score_N[rows_b])
    if made.metric != b.metric:
        x, y = mid_ranks(x), mid_ranks(y)
    return ids[np.lexsort((ids, -np.abs(x - y)))[:count]]


def draw(opened: Dataset, made: Series, b: Series) -> None:
    st.subheader("Largest disagreements", anchor=False)
    ids = [int(i) for i in furthest(made, b, FIRST)]
    said = f"the {len(ids)} samples that A and B see most differently"
    grid, beside = st.columns([8, 3], gap="medium")
    with grid:
        picked = gallery.tiles("furthest", opened, ids, *listing.written(opened, made, ids, b), said, "compare")
        by = "score" if made.metric == b.metric else "rank, for the two scores are different ones"
        beneath = f"beneath each its label, then {words.label(made.metric)} of A and {words.label(b.metric)} of B"
        one_seed = made.seeds == b.seeds == 1
        chance = (
            "With one seed a side two trainings of one network may differ as much."
            if one_seed
            else "Which differences are larger than what seeds do stands above, under *Hard for whom?*"
        )
        st.caption(f"By the difference of their {by}; {beneath}. {chance}")
    with beside:
        details.beside("furthest", opened, [made, b], picked, ids, said, "compare")
