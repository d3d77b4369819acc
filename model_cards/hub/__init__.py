"""A Hugging Face Hub on loopback, for laboratories without a network and for the tests."""
