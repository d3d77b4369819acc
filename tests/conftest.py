"""The order of the files, and faults of extraction that are open: tests that fail today."""

import family_table
import pytest
from hypothesis import settings

# No example fails because the machine is busy.
settings.register_profile("cephalo", deadline=None)
settings.load_profile("cephalo")

# Files of half a minute and more: they begin first, so that no worker is left with one at the end.
LONGEST = (
    *("test_series.py", "test_mesh_generate.py", "test_publish_hub.py", "test_loop.py"),
    *("test_hub_clients.py", "test_demo.py", "test_moe_build.py", "test_scale.py"),
    *("test_eval_science.py", "test_stages.py", "test_train.py", "test_merge.py"),
    *("test_demo_app.py", "test_fields_dataset.py", "test_eval.py", "test_mesh.py"),
    *("test_docs.py", "test_family_apps.py", "test_train_families.py"),
    *("test_merge_families.py", "test_moe_families.py", "test_moe_build_families.py"),
)

# File → why → the tests that fail for it. Take a line out with its fault.
OPEN_FAULTS = {
    "test_pdf_box_kinds.py": {
        "photograph taken": [
            "test_an_author_with_a_photograph_is_not_of_a_figure[over]",
        ],
        "legend lost": [
            "test_a_legend_that_stands_off_is_of_the_figure[right]",
        ],
    },
    "test_pdf_caption_extent.py": {
        "the second column is lost": [
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-times-10.0-False]",
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-times-10.0-True]",
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-times-24.0-False]",
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-times-24.0-True]",
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-helvetica-10.0-False]",
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-helvetica-10.0-True]",
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-helvetica-24.0-False]",
            "test_a_caption_in_two_columns_under_a_wide_figure[sentence-helvetica-24.0-True]",
            "test_a_caption_in_two_columns_under_a_wide_figure[word-times-24.0-True]",
        ],
        "cut after its first row": [
            "test_a_caption_with_a_larger_leading_than_the_body[vs.-16.0]",
            "test_a_caption_with_a_larger_leading_than_the_body[vs.-20.0]",
            "test_a_caption_with_a_larger_leading_than_the_body[air.-16.0]",
            "test_a_caption_with_a_larger_leading_than_the_body[air.-20.0]",
        ],
    },
    "test_pdf_elsewhere.py": {
        "a figure is lost": [
            "test_a_list_of_captions_and_figures_with_bare_labels[Fig. {}-head]",
        ],
    },
    "test_pdf_label_kinds.py": {
        "the tree is lost: no pair": [
            "test_small_capitals_over_a_tree_of_thousands_of_tiny_labels",
        ],
        "caption empty, or running text": [
            "test_a_label_in_a_bar_over_its_figure_with_the_text_under_it[regular-fill0-one-column-serif]",
            "test_a_label_in_a_bar_over_its_figure_with_the_text_under_it[regular-fill0-two-columns-sans]",
            "test_a_label_in_a_bar_over_its_figure_with_the_text_under_it[italic-fill1-one-column-serif]",
            "test_a_label_in_a_bar_over_its_figure_with_the_text_under_it[italic-fill1-two-columns-sans]",
        ],
        "lost or wrong since weights are fitted": [
            "test_a_label_above_its_figure_with_the_text_under_it[italic--two-columns-sans]",
            "test_a_label_above_its_figure_with_the_text_under_it[regular--two-columns-sans]",
        ],
    },
    "test_pdf_text_figures.py": {
        "figure of text beside running text lost": [
            "test_a_program_wrapped_by_the_text_of_one_column[left]",
            "test_a_program_wrapped_by_the_text_of_one_column[right]",
        ],
    },
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-families",
        action="store_true",
        help="write what tests show of families into the table of `cephalo series --families`",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    family_table.note_report(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table of families, or fail the run where it differs."""
    if hasattr(session.config, "workerinput"):  # of xdist, whose reports go to the main process
        return
    if session.config.getoption("--write-families"):
        family_table.write_table()
    elif found := family_table.differences():
        print("\n" + "\n".join(found))
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(tryfirst=True)  # before tests are deselected
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the files, and mark the tests of open faults: one that passes fails the run, so that its
    line goes."""
    family_table.note_cells(config, items)
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))
    for item in items:
        for reason, names in OPEN_FAULTS.get(item.path.name, {}).items():
            if item.name in names:
                item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
