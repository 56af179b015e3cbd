"""Models in MLflow: versions, the champion, what a training records, manifests."""
