"""The write side: commands are claimed, armed, sent and settled, and whatever has no answer is looked up."""
