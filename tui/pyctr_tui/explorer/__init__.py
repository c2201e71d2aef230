"""Looking into images and containers: trees of files, pure of any widget."""
