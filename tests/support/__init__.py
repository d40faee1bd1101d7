"""What several test modules share; imported as ``support``."""
