"""Models that talk about images with each other: a panel of roles, and Cephalo for smolagents."""
