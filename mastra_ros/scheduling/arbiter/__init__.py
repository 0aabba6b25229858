"""Sees to it that every frame it admits gets exactly one final result, whichever way it took.

Pure: no threads, no I/O, the clock is an argument. The rules

- Away means the routes split and cloud. A frame sent away is due `deadline_ms` after its capture,
  but it has at least half of that and at most all of it from its dispatch, so that a frame
  that is old on arrival still has a chance and a wrong time of capture cannot delay the fallback.
- It falls back to the local model when it is due, when its answer is an error, or when the link
  is lost. When it is due and nothing came from the gateway since it was sent, all the others that
  are away fall back with it: a dead gateway costs the deadline once.
- With `hedge`, a frame that is away is given to the local model too, if that has room and the
  cloud is expected late or is overdue: in time for the deadline where possible. So is the newest,
  one at a time, while a gateway owes answers and gives none. The first answer is final; a miss
  stays a miss.
- Where the frame goes that waits, and whether it may have the local model, `Outlook` says.
- At most `local_in_flight` frames are with the local model, and at most `cloud_in_flight` are away
  or fell back and wait for it. A frame that finds no room waits in one slot; a newer frame
  replaces it there (superseded: it was never admitted).
- A frame given to the local model, waiting included, fails after `local_timeout_ms`.
- A local result that `Escalation` finds unsure is published as provisional and sent
  away, `escalate_in_flight` at a time. The answer is final if it comes within
  `escalate_deadline_ms`, else the local result is. A frame that was away is not sent again.
- The first answer for a frame that fell back is its final one, wherever it comes from. Later
  answers, and answers for unknown frames, are published apart, once for each origin.
- Each stream has an arbiter of its own, in its camera's namespace, and so its own deadlines.
- While the link is down, frames that the policy wants away are also encoded for the spool, one
  each `archive_interval_ms`; so are frames of low confidence, at the same rate, marked hard.
- A frame that got its final result elsewhere, since nobody here was heard for long (see
  `inference.open_frames`), is dropped without a word.
"""
