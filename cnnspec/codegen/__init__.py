"""What emitters of Python code share: from concrete calls to readable, general code."""
