"""The journal of a session: everything that happened, one record after the other, on disk before it counts.

`protocols.records` are bytes, `entries` are what they mean, `writing` and `reading` are the files. It is the truth of a
session; `session.h5` is a view of it that `controller.journal.view` makes again.
"""
