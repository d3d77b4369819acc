"""The mixture's speed beside the dense model's, in the same run."""

import pytest

from cephalo.eval.bench_moe import measure


@pytest.mark.slow
def test_one_expert_of_three_has_four_fifths_of_the_dense_speed_or_more():
    found = measure(batch=2, length=256, new_tokens=4, repeats=5)
    print(found)
    assert found["busiest_expert_share"] < 0.8  # all experts work
    assert found["prefill"]["ratio"] >= 0.8
