"""Who takes part: each a program that does its work in a process of its own and tells what that took."""
