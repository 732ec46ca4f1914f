"""Secret Manager, as far as one secret for each step run goes."""
