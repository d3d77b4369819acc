"""The type of a row of a table."""

from typing import Any, TypeAlias

# A row of a Parquet file, or of a dataset, as Python values: the columns and their types are those
# of its table (`cephalo.dataset_scripts.common.schema`), and a step adds and leaves out some.
Row: TypeAlias = dict[str, Any]
