"""What the course adds to Jupyter."""
