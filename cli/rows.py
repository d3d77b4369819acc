"""The type of a row of a table."""

from typing import Any, TypeAlias

# A row of a Parquet file or a dataset as Python values. Columns and types are those of the table
# (`cephalo.dataset_scripts.common.schema`); some steps add or remove columns.
Row: TypeAlias = dict[str, Any]
