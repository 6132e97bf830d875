"""The acquisition loop, its session files and the command line.

Where to look first:

    a run               `loop` from beginning to end · `preparing` · `pump` · `answers` · `leaving` · `standing`
                        its states are a table, `protocols.states`
    decisions           `core` · `choosing`, of points or of shapes · `first_pass` · `sizes` · `decided`
    what is counted     `ledger` of requests and points · `exposures` of pixels · `run_clock` · `pace` · `aim`
    the two services    `batches` to the instrument · `model_link` and `thinking`
    what stays          `recording` · `journal`, the truth · `session`, its view · `session_reader`
    recorded runs       `replay` decides again · `redeciding` anew · `comparing`, `causes`, `agreement` · `retelling`
    the control service `service` · `followers`

Decisions and what is counted know no sockets, clocks or files; a run and the services are their asyncio shell.
"""
