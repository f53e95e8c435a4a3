//! An LPM's place in the PCM: the gate that calls pass, and what is known about it outside.
//!
//! | file | subject |
//! |---|---|
//! | `backlog` | what the LPM is still to be told |
//! | `catch_up` | telling it that, once it is back from quarantine |
//! | `closed` | the LPM on its way out |
//! | `decisions` | decisions that it makes on threads of its own |
//! | `due` | what is due from time to time |
//! | `in_c` | what is different about LPMs in C |
//! | `late` | decisions that came too late |
//! | `many` | decisions on many requests, made in one call |
//! | `on_worker` | calls on threads of the LPM's own |
//! | `restarts` | when an LPM whose process ended starts again |
//! | `seated` | the seat: gate, route, requests |
//! | `taking_over` | while it takes over what its predecessor left, who would call it waits |
//! | `told` | calls that tell it something, and are waited for |
//! | `watched` | which calls do not return |
//! | `worker` | calls that wait for a thread |

pub(crate) mod backlog;
pub(crate) mod catch_up;
pub(crate) mod closed;
mod decisions;
pub(crate) mod due;
pub(crate) mod in_c;
mod late;
mod many;
pub(crate) mod on_worker;
pub(crate) mod restarts;
pub(crate) mod seated;
mod taking_over;
pub(crate) mod told;
pub(crate) mod watched;
pub(crate) mod worker;
