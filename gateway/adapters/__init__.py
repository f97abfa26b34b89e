"""HTTP frameworks, each led to the pipeline."""
