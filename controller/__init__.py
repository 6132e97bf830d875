"""One run, from plan to record. Knows no command line, no simulator and no network weights.

Each room has a face, its package, which says what is found there; other rooms import that. Imports go down:

    recorded   runs that are over: decided anew, told again, side by side
    serve      the control service, and who follows a run
    run        the asyncio life of one run · figures: pictures of a session, and its score
    record     journal first, then its view; what was lost, mended
    session    `session.h5`, a view of the journal
    journal    the truth on disk, and deciding it again
    decide     what to measure next
    ledger     what was asked, came, costs and is left
    plans      a plan, loaded and checked against an instrument and a model: the terms of a run
    geometry   pixels and paths

A point comes in at `run.batches`, is stored by `record.recording` and counted by `ledger.ledger`; what is asked for
next is decided in `decide.decider`. Below `run` nothing knows sockets; below `journal` no clocks or files either.
"""
