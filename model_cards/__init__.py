"""Cards of models and datasets, uploads, credentials and licences."""
