"""From files to a file: views, harmonizers' seam, light transfer, the pipeline."""
