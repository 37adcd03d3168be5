"""How a run's config names its curriculum: read back as it was written, and the texts of before stay those of before."""

import pytest

from learnability.curriculum import ARMS, Pacing, curriculum_text, parse_curriculum

BALANCED, UNBALANCED = "0123abcd", "unbalanced-0123abcd"


@pytest.mark.parametrize("key", [BALANCED, UNBALANCED])
@pytest.mark.parametrize("arm", ARMS)
def test_what_is_written_is_read_back(arm, key):
    found = parse_curriculum(curriculum_text(arm, key, Pacing()))
    assert found.name == arm and found.key == (key if arm in ("easy_first", "hard_first") else None)
    assert found.label == (f"{arm} unbalanced" if key == UNBALANCED and arm != "standard" else arm)


def test_balanced_texts_name_the_runs_there_are():
    assert [curriculum_text(arm, BALANCED, Pacing()) for arm in ARMS] == [
        "easy_first-0123abcd:linear,a=0.8,b=0.2",
        "hard_first-0123abcd:linear,a=0.8,b=0.2",
        "random:linear,a=0.8,b=0.2",
        "random:full",
    ]
    assert curriculum_text("random", UNBALANCED, "root") == "random-unbalanced:root"


def test_an_order_that_somebody_saved_is_no_arm():
    for text in ("mine:linear", "easy_first-mine:linear", "random-mine:linear"):
        found = parse_curriculum(text)
        assert (found.name, found.key, found.label) == (None, None, text.partition(":")[0])
