"""Play the queue against every way in which a send can go wrong, and judge it by what happened at the API.

A scenario is one cell of this matrix. It runs in this process, in virtual time, on a real database, with the
real executor and the real client; only the transport is replaced.

    21 cases             one command of each kind, and cancel with clear_unique_id, and patch
      x 43 behaviors     of the API: each of the 22 outcomes of the first write, 12 of a write and the lookups
                         that follow it, 9 sequences; without those that a kind cannot meet, 884 pairs
      x 4 to 20 steps    at which the first dispatcher has the command in hand: 7,792 in all pairs
      x 15 disturbances  5 that happen at once: killed here, killed elsewhere, frozen, frozen until a peer
                         finished, met by a peer; 2 in which a peer first takes 1 to 5 steps: killed with its
                         rescuer, frozen until a rescuer is at work
    = 116,880 scenarios for each database, of which the suite plays a share (`test_matrix`)

Each ends with a dispatcher that nobody disturbs, and passes if the command's effect is there exactly once, or
never where the API refused the command, and the queue says which. What the API cannot be asked about may also
end held, with its effect there at most once. `missing_protections` takes the protections
away one at a time and shows that the matrix then fails.

    cases                the commands, the account that they find, and how often their effect is there
    disturbances         the cells: behaviors, disturbances, how a scenario is played and judged
    simulation           one queue with its API and its time, and dispatchers moved on step by step
    virtual_time         the clock that processes, API and database share
    fake_api             the sandbox's account without HTTP, with the outcomes of writes and reads
    failing_store        databases that fail around an arming or a settlement
    crashing_dispatcher  real processes that kill themselves at a named point, over real HTTP
"""
