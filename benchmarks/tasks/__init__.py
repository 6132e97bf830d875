"""The tasks of the paper, each a sweep of settings × cases × seeds × materials with a table, a figure and a judgement.

`task` says what a task is, `materials` what is measured, `measuring` runs it, `results` keeps what came of it, `pages`
show it. Every other module is one task: its settings, its cases and what is said about them.
`python -m benchmarks.tasks [NAME…] [--seeds N]` measures what is missing and writes everything anew.
"""
