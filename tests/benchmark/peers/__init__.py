"""Who is measured: each a program that does its work in a process of its own and prints what that took."""
