"""The core: functions whose faults would not be visible in their output, and their tests."""

from typing import NamedTuple


class Core(NamedTuple):
    """Functions of a module, methods as "Class.method", and their test files."""

    functions: tuple[str, ...]
    tests: tuple[str, ...]  # within tests/


CORE = {
    "dataset_scripts/pdf/captions.py": Core(
        ("find_captions", "_bare_labels", "_cited_figures", "_sentences"),
        ("dataset_scripts/pdf/test_pdf_choosing.py",),
    ),
    "dataset_scripts/pdf/document.py": Core(
        ("keep_jpeg",), ("dataset_scripts/pdf/test_pdf_keep_jpeg.py",)
    ),
    "dataset_scripts/pdf/embedded.py": Core(
        ("lone_picture",), ("dataset_scripts/pdf/test_pdf_keep_jpeg.py",)
    ),
    "dataset_scripts/common/geometry.py": Core(
        (
            "intersection",
            "area",
            "iou",
            "overlap_x",
            "overlap_y",
            "covered",
            "grow",
            "hits",
            "turn",
        ),
        ("dataset_scripts/common/test_geometry.py",),
    ),
    "dataset_scripts/refinement/checks.py": Core(
        (
            "length",
            "repeats_source",
            "repeats_part",
            "off_topic",
            "obeys_source",
            "leaks_prompt",
            "loops",
            "outsized",
            "shared_run_share",
            "runs",
            "shingles",
        ),
        ("dataset_scripts/refinement/test_refine_check_bounds.py",),
    ),
    "dataset_scripts/refinement/near_equal.py": Core(
        ("NearEqual.match", "NearEqual.add", "same_question", "share"),
        ("dataset_scripts/refinement/test_near_equal.py",),
    ),
    "dataset_scripts/common/groups.py": Core(
        ("Groups.find", "Groups.merge", "Groups.roots"),
        ("dataset_scripts/common/test_splits.py",),
    ),
    "dataset_scripts/common/splits.py": Core(
        ("split_documents", "place"), ("dataset_scripts/common/test_splits.py",)
    ),
    "dataset_scripts/common/near_text.py": Core(
        ("words", "shingles", "same", "bands_of", "Bands.sharing", "TextIndex.candidates"),
        ("dataset_scripts/common/test_near_text.py",),
    ),
    "dataset_scripts/publication/dedup_images.py": Core(
        ("agree", "alike", "tiles_of", "without_margins"),
        ("dataset_scripts/publication/test_dedup_agreement.py",),
    ),
    "eval/intervals.py": Core(
        ("intervals", "compare", "bounds", "two_sided", "mcnemar", "finite"),
        ("eval/test_intervals.py",),
    ),
    "model_cards/upload.py": Core(
        ("arrived", "remote_files", "differing", "same_content", "worth_retrying", "wait_seconds"),
        ("model_cards/test_upload_comparison.py",),
    ),
    "model_cards/credentials.py": Core(
        (
            "varied",
            "mixed",
            "cased",
            "is_password",
            "find_credential",
            "occurrences",
            "follows_letter",
            "credentials_in_use",
            "refuse_credentials",
            "parts",
            "blocks",
            "parquet_parts",
        ),
        ("model_cards/test_credentials.py",),
    ),
}
