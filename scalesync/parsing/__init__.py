"""Turns documents into the values of their rows and annotation rows, without a database.

The parser process imports only this.
"""
