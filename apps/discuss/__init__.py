"""Models that discuss images: a panel of roles, and Cephalo for smolagents."""
