"""From papers to datasets: extraction, conversations, splits, publishing."""
