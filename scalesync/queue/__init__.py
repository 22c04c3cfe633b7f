"""The write side: commands are claimed, armed, sent and settled; without an answer they are looked up."""
