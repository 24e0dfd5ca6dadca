"""What vanishing_depth.py measures and draws, a file a part."""
