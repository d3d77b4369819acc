"""The plan for many papers: the simulation against sums made by hand, the document against both."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measure_requests import count_tokens
from pdf_samples import one_figure
from PIL import Image

from benchmarks.cluster import measure, plan
from benchmarks.cluster.simulate import Cluster, Failures, Simulation, draw_chunks
from cephalo.cli.errors import CephaloError


def test_equal_chunks_without_failures():
    # Four tasks of three chunks on two slots: two rounds of 5 + 3 * 10 seconds.
    outcome = Simulation([10.0] * 12, 4, Cluster(1, 2), startup=5.0).run()
    assert outcome.makespan == 70
    assert outcome.efficiency == pytest.approx(120 / 140)
    assert (outcome.lost, outcome.kills, outcome.submissions) == (0, 0, 1)
    # Task 0 reads chunks 0, 4 and 8; task 2 is the first of the second round.
    assert outcome.done_at.tolist() == [15, 15, 50, 50, 25, 25, 60, 60, 35, 35, 70, 70]


def test_one_straggling_chunk_and_one_slow_node():
    outcome = Simulation([10, 10, 10, 40], 2, Cluster(2)).run()
    assert outcome.makespan == 50  # task 1: chunks 1 and 3
    cluster = Cluster(2, speeds=(1.0, 0.4))
    assert Simulation([10.0] * 4, 2, cluster).run().done_at.tolist() == [10, 25, 20, 50]
    # Shares are fixed; with four of them, the fast node takes three.
    assert Simulation([10.0] * 4, 4, cluster).run().done_at.tolist() == [10, 25, 20, 30]


def test_one_killed_task():
    # Rank 1 dies at 22 s, 7 s into its second chunk; the array ends at 35 s, is submitted again
    # 100 s later, and the two chunks take 5 + 3 * 10 (document by document) + 10.
    failures = Failures(kills=((22, 1),), resubmission=100)
    outcome = Simulation([10.0] * 6, 2, Cluster(2), startup=5, failures=failures, again=3).run()
    assert outcome.done_at.tolist() == [15, 15, 25, 170, 35, 180]
    assert outcome.makespan == 180
    assert outcome.lost == pytest.approx(7 + 20)  # 30 s in place of 10
    assert (outcome.kills, outcome.submissions) == (1, 2)


def test_a_killed_task_gives_its_slot_to_the_next():
    outcome = Simulation([10.0] * 3, 3, Cluster(1), failures=Failures(kills=((4, 0),))).run()
    assert outcome.done_at.tolist() == [34, 14, 24]


def test_what_is_not_running_cannot_be_killed():
    failures = Failures(kills=((4, 1), (15, 0)), losses=((3, 1), (4, 1)), repair=1000)
    outcome = Simulation([10.0, 10.0], 2, Cluster(2), failures=failures).run()
    # Node 1 is lost at 3 s with rank 1, which waits until node 0 is free at 10 s.
    assert (outcome.kills, outcome.losses) == (0, 1)


def test_one_lost_node():
    # Node 1 is lost at 22 s, 7 s into the second chunk of rank 1, which is queued again 30 s
    # later, at 52 s, and runs on node 0, which is free since 35 s.
    failures = Failures(losses=((22, 1),), detection=30, repair=10_000)
    outcome = Simulation([10.0] * 6, 2, Cluster(2), startup=5, failures=failures, again=2).run()
    assert outcome.done_at.tolist() == [15, 15, 25, 77, 35, 87]
    assert (outcome.lost, outcome.losses, outcome.submissions) == (17, 1, 1)


def test_a_repaired_node_takes_tasks_again():
    failures = Failures(losses=((5, 0),), detection=10, repair=100)
    outcome = Simulation([10.0, 10.0], 1, Cluster(1), failures=failures, again=2).run()
    assert outcome.done_at.tolist() == [125, 135]
    assert outcome.lost == 15  # five seconds, and ten more for reading document by document


@given(
    seconds=st.lists(st.floats(0.1, 100), min_size=1, max_size=40),
    tasks=st.integers(1, 12),
    nodes=st.integers(1, 4),
    tasks_a_node=st.integers(1, 3),
    startup=st.floats(0, 20),
    seed=st.integers(0, 9),
)
def test_a_makespan_has_its_bounds(seconds, tasks, nodes, tasks_a_node, startup, seed):
    cluster = Cluster(nodes, tasks_a_node)
    outcome = Simulation(seconds, tasks, cluster, startup).run()
    serial = sum(seconds) + min(tasks, len(seconds)) * startup
    assert sum(seconds) / cluster.slots <= outcome.makespan * (1 + 1e-9)
    assert outcome.makespan <= serial * (1 + 1e-9)
    failures = Failures(mean_to_kill=200.0, mean_to_loss=500.0, repair=60.0)
    worse = Simulation(seconds, tasks, cluster, startup, failures, again=2.0, seed=seed).run()
    assert not np.isnan(worse.done_at).any()
    assert worse.makespan == worse.done_at.max() >= sum(seconds) / cluster.slots * (1 - 1e-9)
    again = Simulation(seconds, tasks, cluster, startup, failures, again=2.0, seed=seed).run()
    assert again.makespan == worse.makespan


def test_chunks_are_drawn_from_the_seconds_of_documents():
    assert draw_chunks([2.0], documents=10, chunk=4, overhead=1.0).tolist() == [9, 9, 5]
    # Four documents of two seconds for two workers; three are 4 + 2.
    assert draw_chunks([2.0], documents=7, chunk=4, workers=2).tolist() == [4, 4]
    drawn = draw_chunks([1.0, 3.0], documents=64_000, chunk=64, seed=3)
    assert drawn.mean() == pytest.approx(128, rel=0.01)
    assert drawn.std() == pytest.approx(8, rel=0.1)  # sqrt(64) times a deviation of 1


# --- the plan


def test_the_document_holds_what_the_command_prints():
    document = (Path(__file__).parents[3] / "docs" / "scale.md").read_text(encoding="utf-8")
    for table in plan.tables(plan.load_ground()):
        assert table in document


def test_needs_follow_from_rates():
    ground = plan.load_ground(["nodes=2", "cores_a_node=4", "cores_a_task=2", "gpu_hour=10"])
    assert ground.slots == 4
    one, ten = (plan.need(ground, papers) for papers in (4_600, 46_000))
    facts, refine = ground.measured["extract"], ground.measured["refine"]
    assert (one.pages, one.figures) == (100 * facts["pages"], 100 * facts["figures"])
    assert one.requests == pytest.approx(100 * refine["requests"])
    tokens = 100 * (refine["text_tokens"] + refine["image_tokens"])
    assert one.prompt_tokens == pytest.approx(tokens)
    answers = one.requests * ground.assumed["completion_tokens"]
    assert one.gpu_hours * 3600 == pytest.approx(
        tokens / ground.assumed["prompt_tokens_a_second"]
        + answers / ground.assumed["completion_tokens_a_second"]
    )
    assert one.gigabytes["read"] == pytest.approx(facts["bytes_read"] / 1e7)
    for name in ("pages", "requests", "prompt_tokens", "completion_tokens", "gpu_hours"):
        assert getattr(ten, name) == pytest.approx(10 * getattr(one, name))
    # Eight cores at least need the work divided by eight, and at most twice that here.
    reading = 46_000 * np.mean(facts["document_seconds"]) / 8
    assert reading < ten.outcome.makespan < 2 * reading
    assert ten.core_hours == pytest.approx(8 * ten.outcome.makespan / 3600)
    assert f"${round(one.gpu_hours * 10):,} |" in plan.money(ground, [one])


def test_what_cannot_be_assumed_is_refused():
    for change in ("gpu_hours=2", "gpu_hour", "gpu_hour=free", "nodes=-1"):
        with pytest.raises(CephaloError, match=f"--set '{change}'"):
            plan.load_ground([change])


def test_a_task_is_measured(tmp_path):
    for number in range(3):
        one_figure(tmp_path / f"{number}.pdf", seed=number)
    facts = measure.run_task(tmp_path, workers=1, chunk=2, begun=False)
    assert (facts["documents"], facts["pages"], facts["figures"], facts["chunks"]) == (3, 3, 3, 2)
    assert facts["bytes_read"] == sum(path.stat().st_size for path in tmp_path.glob("*.pdf"))
    assert facts["bytes_figures"] > 0 < facts["bytes_text"]
    assert facts["cpu_seconds"] > 0 < facts["peak_mb_of_a_process"]
    assert len(measure.document_seconds(tmp_path)) == 3


def test_tokens_of_a_request_are_counted():
    png = io.BytesIO()
    Image.new("RGB", (280, 140)).save(png, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
    image = {"type": "image_url", "image_url": {"url": url}}
    user = [image, {"type": "text", "text": "one two three"}]
    messages = [{"role": "system", "content": "four five"}, {"role": "user", "content": user}]
    counted = count_tokens({"messages": messages}, lambda text: len(text.split()))
    assert counted == {"text": 5, "images": 52}
