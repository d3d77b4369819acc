"""What measures the project on data that it makes itself; run from the repository root."""
