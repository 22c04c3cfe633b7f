"""From a document to the values of its row and of its annotation rows, without a database.

The parser process loads only this.
"""
