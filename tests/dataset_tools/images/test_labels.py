"""Zero-shot labels by hand."""

import numpy as np
import pytest

from recbole_llmfashion.dataset_tools.images.labels import ATTRIBUTES, choose, phrases


def test_probabilities_by_hand():
    """Logits 0 and ln 3 behind: probabilities 3/4 and 1/4 of two labels that matter, a lead of one half."""
    cosines = np.full((1, 4), -1.0)
    cosines[0, 0], cosines[0, 1] = 0.5, 0.5 - np.log(3) / 100
    assert choose(cosines, 100.0, "sleeve", 0.49) == ["long"]
    assert choose(cosines, 100.0, "sleeve", 0.51) == [""]


def test_a_picture_without_the_attribute_has_no_label():
    cosines = np.zeros((1, 5))
    cosines[0, list(ATTRIBUTES["heel"]).index("")] = 1
    assert choose(cosines, 100.0, "heel", 0.0) == [""]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_each_label_has_a_phrase_and_no_two_the_same(attribute):
    texts = phrases(attribute)
    assert len(set(texts)) == len(ATTRIBUTES[attribute]) >= 3 and all(text.startswith("a photo of ") for text in texts)
    assert next(iter(ATTRIBUTES[attribute]))  # the empty label is never the first, so that ties have a label
