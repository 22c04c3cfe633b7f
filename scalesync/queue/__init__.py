"""The write side: commands are claimed, armed, sent and settled; a send without an answer is looked up."""
