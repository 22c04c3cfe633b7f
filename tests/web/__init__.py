"""The pages of `scalesync browse`, on both databases."""
