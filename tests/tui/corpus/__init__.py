"""What real programs wrote to a terminal of 80×24, and what tmux showed of it; `record` makes it anew."""
